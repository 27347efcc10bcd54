/**
 * HBONE to endpoints of the mesh, with the waypoint's own identity. Tunnels are pooled by workload
 * UID: an address that now belongs to another pod never inherits one.
 */
import http2 from "node:http2";
import { makeBaggage } from "#common/hbone/baggage.ts";
import { formatForwarded } from "#common/hbone/forwarded.ts";
import { makeTraceparent } from "#common/hbone/traceparent.ts";
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { serviceKey } from "#common/model/address.ts";
import type { Identity } from "#common/model/identity.ts";
import { formatSocketAddress } from "#common/model/ip.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import { workloadIdentity } from "#common/model/workload.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { HbonePool } from "#common/transport/hbone-pool.ts";
import type { HboneTunnel, OpenStream, TunnelTarget } from "#common/transport/hbone-tunnel.ts";
import {
  type ConnectTcp,
  connectOnPool,
  openTunnel,
  type TunnelOpenerContext,
} from "#common/transport/tunnel-opener.ts";
import { connectTcp } from "./tcp-dialer.ts";
import type { DialRequest } from "./upstream.ts";

export interface HboneDialerDeps {
  readonly mesh: ProxyState;
  readonly identity: Identity;
  /** UID of the waypoint's own record, which tells the other side who asks, once it has come. */
  readonly ownUid: string;
  readonly tunnels: TunnelOpenerContext;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class HboneDialer {
  readonly #deps: HboneDialerDeps;
  readonly #pool: HbonePool;

  constructor(deps: HboneDialerDeps) {
    this.#deps = deps;
    this.#pool = new HbonePool(
      (target, onClosed) => openTunnel(deps.tunnels, connectTunnel, target, onClosed),
      deps.tunnels.tuning.tunnelIdleMs,
    );
  }

  /** A stream to the endpoint's application; its node has connected to it by then. */
  open(request: DialRequest): Promise<OpenStream | ConnectionFailure> {
    return connectOnPool(this.#pool, this.#target(request), this.#headers(request));
  }

  /** The workload is gone, or is another now. */
  evict(workloadUid: string): void {
    this.#pool.evictWorkload(workloadUid);
  }

  /** New streams go by the new certificate; those that stand go on. */
  rotated(): void {
    this.#pool.retireAll();
  }

  sweep(now: number): void {
    this.#pool.closeIdle(now);
  }

  tunnels(): Iterable<HboneTunnel> {
    return this.#pool.tunnels();
  }

  close(): void {
    this.#pool.close();
  }

  #target({ endpoint, backend }: DialRequest): TunnelTarget {
    const { workload, address } = endpoint;
    const service = this.#deps.mesh.findServiceByKey(serviceKey(backend));
    const identities = [workloadIdentity(workload).uri, ...(service?.subjectAltNames ?? [])];
    return {
      sourceIdentity: this.#deps.identity,
      destinationIdentities: [...new Set(identities)].sort(),
      address: { ip: address.ip, port: HBONE_PORT },
      workloadUid: workload.uid,
    };
  }

  /** Names and values in turn, which costs Node less than an object. */
  #headers({ endpoint, backend, client }: DialRequest): readonly string[] {
    const own = this.#deps.mesh.findWorkloadByUid(this.#deps.ownUid);
    const host = backend.hostname === "" ? undefined : backend.hostname;
    const headers = [
      ...[":method", "CONNECT"],
      ...[":authority", formatSocketAddress(endpoint.address)],
      ...(own === undefined ? [] : ["baggage", makeBaggage(own)]),
      ...(client === undefined ? [] : ["forwarded", formatForwarded(client, host)]),
      ...["x-istio-source", "waypoint"],
      ...["traceparent", makeTraceparent(this.#deps.random)],
    ];
    return Object.assign(headers, NEVER_TWICE);
  }
}

/** What no other connection sends again has no place in the tunnel's table of known headers. */
const NEVER_TWICE = { [http2.sensitiveHeaders]: ["forwarded", "traceparent"] };

/** A peer that ends its tunnel has ended all streams in it. */
const connectTunnel: ConnectTcp = (address) => connectTcp(address, { allowHalfOpen: false });
