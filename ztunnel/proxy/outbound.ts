/**
 * Connections that a captured pod makes: redirected to 15001, carried on by HBONE or as they are.
 */
import http2 from "node:http2";
import { makeBaggage } from "#common/hbone/baggage.ts";
import { formatForwarded } from "#common/hbone/forwarded.ts";
import { makeTraceparent } from "#common/hbone/traceparent.ts";
import type { SocketAddress } from "#common/model/ip.ts";
import { type Workload, workloadIdentity } from "#common/model/workload.ts";
import type { ConnectionSecurity } from "#common/telemetry/connection-record.ts";
import type { End } from "#common/transport/end.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { HbonePool } from "#common/transport/hbone-pool.ts";
import type { TunnelTarget } from "#common/transport/hbone-tunnel.ts";
import { connectOnPool } from "#common/transport/tunnel-opener.ts";
import { ENDPOINT_ATTEMPTS } from "../limits.ts";
import type { ConnectionMeta } from "./connection-tracker.ts";
import type { PodContext } from "./pod-context.ts";
import {
  chooseRoute,
  type HboneRoute,
  type Route,
  type RouteRequest,
  type TcpRoute,
  type UnresolvedRoute,
} from "./route.ts";
import { connectSameNode } from "./same-node.ts";
import type { TcpEnd } from "./tcp-end.ts";

interface Attempted {
  readonly route: Route | undefined;
  readonly security: ConnectionSecurity;
  readonly result: End | ConnectionFailure;
}

export class Outbound {
  readonly #context: PodContext;
  readonly #pool: HbonePool;
  readonly #addressesOf = (hostname: string) => this.#context.hosts.known(hostname);

  constructor(context: PodContext, pool: HbonePool) {
    this.#context = context;
    this.#pool = pool;
  }

  /** Takes over an accepted connection; never rejects. */
  async handle(
    client: TcpEnd,
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
  ): Promise<void> {
    const { tracker, waiter, lookUps, pod } = this.#context;
    const startedAt = performance.now();
    if (original === undefined) {
      return this.#refuse(client, clientAddress, undefined, startedAt, MISSING_DESTINATION);
    }
    const known = waiter.localWorkload(pod.workloadUid);
    const source = known instanceof Promise ? await known : known;
    if ("ok" in source) return this.#refuse(client, clientAddress, original, startedAt, source);
    const unknown = lookUps && (await lookUps.route(source, original));
    if (unknown) return this.#refuse(client, clientAddress, original, startedAt, unknown);
    const { result, ...attempted } = await this.#connect(source, clientAddress, original);
    const meta = outboundMeta(source, clientAddress, original, attempted);
    if ("ok" in result) {
      client.reset();
      tracker.refused(meta, startedAt, result);
      return;
    }
    tracker.relay(pod.uid, meta, startedAt, client, result);
  }

  /**
   * Tries endpoints until one answers, a verdict is final, or `ENDPOINT_ATTEMPTS` have been tried.
   */
  async #connect(
    source: Workload,
    clientAddress: SocketAddress,
    original: SocketAddress,
  ): Promise<Attempted> {
    const exclude = new Set<string>();
    let last: Attempted | undefined;
    for (let attempt = 0; attempt < ENDPOINT_ATTEMPTS; attempt++) {
      const choice = this.#chooseRoute(source, original, exclude);
      const route = choice instanceof Promise ? await choice : choice;
      if ("ok" in route) return last ?? { ...NO_ROUTE, result: route };
      last = await this.#tryRoute(source, clientAddress, route);
      if (!("ok" in last.result) || !last.result.retriable) return last;
      const tried = route.kind === "hbone" ? route.tunnelWorkload : route.destination;
      // Without a service in between there is no other endpoint to try.
      if (tried === undefined || route.service === undefined) break;
      exclude.add(tried.uid);
    }
    return last ?? { ...NO_ROUTE, result: MISSING_DESTINATION };
  }

  /**
   * Synchronous in effect but where an endpoint's host name has to be looked up. One whose name
   * leads nowhere is out; of many such no more are looked up than endpoints are tried.
   */
  #chooseRoute(
    source: Workload,
    original: SocketAddress,
    exclude: Set<string>,
  ): Route | ConnectionFailure | Promise<Route | ConnectionFailure> {
    const { state, random } = this.#context;
    const addressesOf = this.#addressesOf;
    const request = { state, source, original, exclude, random, addressesOf };
    const chosen = chooseRoute(request);
    if (!("kind" in chosen) || chosen.kind !== "unresolved") return chosen;
    return this.#resolveRoute(chosen, request, exclude);
  }

  async #resolveRoute(
    first: UnresolvedRoute,
    request: RouteRequest,
    exclude: Set<string>,
  ): Promise<Route | ConnectionFailure> {
    let { workload } = first;
    for (let attempt = 0; attempt < ENDPOINT_ATTEMPTS; attempt++) {
      const addresses = await this.#context.hosts.resolve(workload.hostname);
      if (addresses.length === 0) exclude.add(workload.uid);
      const chosen = chooseRoute(request);
      if (!("kind" in chosen) || chosen.kind !== "unresolved") return chosen;
      workload = chosen.workload;
    }
    return failure("no-healthy-upstream", `no address for host ${workload.hostname}`);
  }

  async #tryRoute(
    source: Workload,
    clientAddress: SocketAddress,
    route: Route,
  ): Promise<Attempted> {
    if (route.kind === "tcp") {
      return { route, security: "unknown", result: await this.#plain(route) };
    }
    const local = this.#localDestination(route);
    if (local === undefined) {
      const result = await this.#hbone(source, clientAddress, route);
      return { route, security: "mutual_tls", result };
    }
    const result = await this.#sameNode(local, source, clientAddress, route);
    return { route, security: "same_node", result };
  }

  /** Whoever ends the tunnel must be the destination itself: a waypoint has its say first. */
  #localDestination(route: HboneRoute): PodContext | undefined {
    if (route.destination === undefined) return undefined;
    return this.#context.localPods?.find(route.destination, route.target.ip);
  }

  /** A source without a certificate has no identity to be let in by, as with a tunnel. */
  async #sameNode(
    destination: PodContext,
    source: Workload,
    clientAddress: SocketAddress,
    { target, service }: HboneRoute,
  ): Promise<End | ConnectionFailure> {
    const certificate = await this.#context.certificates.get(workloadIdentity(source));
    if ("ok" in certificate) return certificate;
    return connectSameNode(destination, { source, clientAddress, target, service });
  }

  #plain(route: TcpRoute): Promise<End | ConnectionFailure> {
    const { dialer, netns } = this.#context;
    return dialer.connectEnd({ netns, address: route.address });
  }

  async #hbone(
    source: Workload,
    clientAddress: SocketAddress,
    route: HboneRoute,
  ): Promise<End | ConnectionFailure> {
    const target: TunnelTarget = {
      sourceIdentity: workloadIdentity(source),
      destinationIdentities: route.identities,
      address: route.address,
      workloadUid: route.tunnelWorkload.uid,
    };
    const headers = this.#headers(source, clientAddress, route);
    const outcome = await connectOnPool(this.#pool, target, headers);
    return "ok" in outcome ? outcome : outcome.end;
  }

  /** Names and values in turn, which costs Node less than an object. */
  #headers(source: Workload, clientAddress: SocketAddress, route: HboneRoute): readonly string[] {
    const headers = [
      ...[":method", "CONNECT"],
      ...[":authority", route.authority],
      ...["baggage", makeBaggage(source)],
      ...["forwarded", formatForwarded(clientAddress, route.service?.hostname)],
      ...["traceparent", makeTraceparent(this.#context.random)],
    ];
    return Object.assign(headers, NEVER_TWICE);
  }

  #refuse(
    client: TcpEnd,
    clientAddress: SocketAddress,
    original: SocketAddress | undefined,
    startedAt: number,
    why: ConnectionFailure,
  ): void {
    client.reset();
    const { tracker, state, pod } = this.#context;
    const source = state.findWorkloadByUid(pod.workloadUid);
    tracker.refused(outboundMeta(source, clientAddress, original, NO_ROUTE), startedAt, why);
  }
}

/** What no other connection sends again has no place in the tunnel's table of known headers. */
const NEVER_TWICE = { [http2.sensitiveHeaders]: ["forwarded", "traceparent"] };

const MISSING_DESTINATION = failure(
  "original-destination-missing",
  "the original destination of a redirected connection is not known: nothing is dialled",
);

const NO_ROUTE = { route: undefined, security: "unknown" } as const;

function outboundMeta(
  source: Workload | undefined,
  clientAddress: SocketAddress,
  original: SocketAddress | undefined,
  { route, security }: Pick<Attempted, "route" | "security">,
): ConnectionMeta {
  const tunnel = route?.kind === "hbone" ? route : undefined;
  return {
    reporter: "source",
    sourceAddress: clientAddress,
    source,
    sourceIdentity: source && workloadIdentity(source),
    destinationAddress: tunnel === undefined ? (route?.address ?? original) : tunnel.address,
    dialledAddress: original,
    hboneAddress: tunnel?.authority,
    destination: route?.destination ?? tunnel?.tunnelWorkload,
    destinationIdentity: tunnel && workloadIdentity(tunnel.tunnelWorkload),
    service: route?.service,
    security,
  };
}
