/**
 * CONNECT requests at a captured pod's 15008: checked, authorized, delivered to the application.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { parseAuthority } from "#common/hbone/authority.ts";
import { makeBaggage } from "#common/hbone/baggage.ts";
import { forwardedHost } from "#common/hbone/forwarded.ts";
import { serviceKey } from "#common/model/address.ts";
import type { Connection } from "#common/model/connection.ts";
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";
import { ILLEGAL_PORTS } from "#common/model/ports.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { answerConnect } from "#common/transport/connect-answer.ts";
import {
  CLIENT_LEFT,
  type ConnectionFailure,
  failure,
  limitReached,
} from "#common/transport/failure.ts";
import { HboneEnd } from "#common/transport/hbone-end.ts";
import type { TunnelPeer } from "#common/transport/hbone-sessions.ts";
import { admit, type Permit } from "./admit.ts";
import { deliver } from "./deliver.ts";
import { identifiedMeta } from "./inbound-meta.ts";
import { addressName } from "./look-ups.ts";
import type { PodContext } from "./pod-context.ts";
import type { TcpEnd } from "./tcp-end.ts";

/** Istio ztunnel's answers (ambient.md 2.1, status codes). */
const STATUS: Partial<Record<ConnectionFailure["reason"], number>> = {
  "bad-request": 400,
  "ip-mismatch": 400,
  "explicit-deny": 401,
  "no-allow-matched": 401,
  "policies-not-ready": 401,
};

export class InboundHbone {
  readonly #context: PodContext;

  constructor(context: PodContext) {
    this.#context = context;
  }

  /** Takes over a stream; never rejects. */
  async handle(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: TunnelPeer,
  ): Promise<void> {
    const { tracker, pod } = this.#context;
    const startedAt = performance.now();
    const end = new HboneEnd(stream, this.#context, peer.alive);
    const outcome = await this.#connect(headers, peer, stream);
    const { workload, target } = outcome;
    const service = this.#addressedService(headers, workload);
    const meta = identifiedMeta(this.#context.state, peer, { workload, target, service });
    const { result } = outcome;
    if ("ok" in result) {
      answerConnect(stream, statusOf(result), undefined);
      tracker.refused(meta, startedAt, result);
      return;
    }
    if (stream.destroyed || stream.closed) {
      result.reset();
      tracker.refused(meta, startedAt, end.shedding ?? CLIENT_LEFT);
      return;
    }
    answerConnect(stream, 200, outcome.workload && makeBaggage(outcome.workload));
    const permitted = { ...meta, ...(outcome.permit && { permit: outcome.permit }) };
    tracker.relay(pod.uid, permitted, startedAt, end, result);
  }

  async #connect(
    headers: IncomingHttpHeaders,
    peer: TunnelPeer,
    stream: ServerHttp2Stream,
  ): Promise<{
    workload?: Workload;
    target?: SocketAddress;
    permit?: Permit;
    result: TcpEnd | ConnectionFailure;
  }> {
    const { waiter, capacity, pod } = this.#context;
    const limit = capacity.reached(pod.uid);
    if (limit !== undefined) return { result: limitReached(limit, "no room for one more") };
    if (headers[":method"] !== "CONNECT") {
      const message = `HBONE takes CONNECT only, not ${headers[":method"]}`;
      return { result: failure("bad-request", message) };
    }
    const known = waiter.localWorkload(pod.workloadUid);
    const workload = known instanceof Promise ? await known : known;
    if ("ok" in workload) return { result: workload };
    await this.#lookUp(headers, peer, workload);
    const target = this.#target(headers[":authority"], peer, workload);
    if ("ok" in target) return { workload, result: target };
    const connection: Connection = {
      sourceIp: peer.address.ip,
      sourceIdentity: peer.identity,
      destinationIp: target.ip,
      destinationPort: target.port,
      destinationNetwork: workload.network,
    };
    const permit = await admit(waiter, workload, connection);
    if ("ok" in permit) return { workload, target, result: permit };
    const result = await this.#deliver(permit, peer, stream);
    return { workload, target, permit, result };
  }

  /**
   * What is asked for by a service's name has to be known; who asks, and which service was
   * addressed, is for logs and metrics. Only this pod's own services are asked for: nobody can make
   * us ask for more.
   */
  async #lookUp(headers: IncomingHttpHeaders, peer: TunnelPeer, workload: Workload): Promise<void> {
    const { lookUps } = this.#context;
    if (lookUps === undefined) return;
    lookUps.mention(addressName(workload.network, peer.address.ip));
    const addressed = headers.forwarded === undefined ? "" : forwardedHost(headers.forwarded);
    const authority = parseAuthority(headers[":authority"] ?? "");
    for (const key of workload.services.keys()) {
      const hostname = key.slice(key.indexOf("/") + 1);
      if (authority.kind === "hostname" && authority.hostname === hostname) {
        await lookUps.service(key);
      } else if (addressed === hostname) lookUps.mention(key);
    }
  }

  /** A client that resets its stream leaves no attempt behind: thousands would add up. */
  async #deliver(
    permit: Permit,
    peer: TunnelPeer,
    stream: ServerHttp2Stream,
  ): Promise<TcpEnd | ConnectionFailure> {
    if (stream.destroyed || stream.closed) return CLIENT_LEFT;
    let onClosed = (): void => undefined;
    const result = await deliver(this.#context, permit, peer.address.ip, (giveUp) => {
      onClosed = giveUp;
      stream.once("close", giveUp);
    });
    stream.off("close", onClosed);
    return result;
  }

  /** What the authority asks for, if it may be asked for here. */
  #target(
    text: string | undefined,
    peer: TunnelPeer,
    workload: Workload,
  ): SocketAddress | ConnectionFailure {
    const authority = parseAuthority(text ?? "");
    if (authority.kind === "error") return failure("bad-request", authority.message);
    const target =
      authority.kind === "ip" ? authority : this.#resolveHostname(authority, peer, workload);
    if ("ok" in target) return target;
    if (ILLEGAL_PORTS.has(target.port)) {
      const message = `attempted recursive call to ourselves: ${formatSocketAddress(target)}`;
      return failure("recursive-call", message);
    }
    if (target.ip !== peer.localIp) {
      return failure("ip-mismatch", `ip mismatch: ${peer.localIp} != ${target.ip}`);
    }
    return { ip: target.ip, port: target.port };
  }

  /** A service's name stands for this pod's own port of that service. */
  #resolveHostname(
    authority: { hostname: string; port: number },
    peer: TunnelPeer,
    workload: Workload,
  ): SocketAddress | ConnectionFailure {
    const { state } = this.#context;
    const service = state.findServiceByHostname(authority.hostname, workload.namespace);
    const ports = service && workload.services.get(serviceKey(service));
    const port = ports?.find(({ servicePort }) => servicePort === authority.port);
    if (port === undefined || port.targetPort === 0) {
      const message = `unknown destination: ${authority.hostname}:${authority.port}`;
      return failure("unknown-destination", message);
    }
    return { ip: peer.localIp, port: port.targetPort };
  }

  /**
   * The service that the client says it addressed; for metrics only, and only if this pod serves
   * it.
   */
  #addressedService(
    headers: IncomingHttpHeaders,
    workload: Workload | undefined,
  ): Service | undefined {
    if (workload === undefined || headers.forwarded === undefined) return undefined;
    const host = forwardedHost(headers.forwarded);
    const service = host && this.#context.state.findServiceByHostname(host, workload.namespace);
    if (service === undefined || service === "") return undefined;
    return workload.services.has(serviceKey(service)) ? service : undefined;
  }
}

/** What the tunnel's client is told of a refusal. */
export function statusOf({ reason }: ConnectionFailure): number {
  return STATUS[reason] ?? 503;
}
