/** One endpoint of a backend: its health, and the connections to it. */
import type { Workload } from "#common/model/workload.ts";
import type { Balanced } from "./balancer.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { EndpointHealth } from "./outlier-detection.ts";
import { ENDPOINT_GONE } from "./replies.ts";
import type { UpstreamProtocol } from "./upstream.ts";

/** What the mesh says of an endpoint, for one backend. */
export interface EndpointRecord {
  readonly workload: Workload;
  readonly targetPort: number;
  /** Above 0. */
  readonly weight: number;
  /** 0 is nearest; farther ones are used where none nearer is left. */
  readonly tier: number;
}

export class BackendHost implements Balanced {
  record: EndpointRecord;
  active = 0;
  readonly health = new EndpointHealth();
  /** Undefined: it was there when the backend was first asked for, and needs no warm-up. */
  readonly addedAt: number | undefined;
  readonly #pools = new Map<UpstreamProtocol, ConnectionPool>();
  readonly #makePool: (host: BackendHost, protocol: UpstreamProtocol) => ConnectionPool;

  constructor(
    record: EndpointRecord,
    addedAt: number | undefined,
    makePool: (host: BackendHost, protocol: UpstreamProtocol) => ConnectionPool,
  ) {
    this.record = record;
    this.addedAt = addedAt;
    this.#makePool = makePool;
  }

  get id(): string {
    return this.record.workload.uid;
  }

  get weight(): number {
    return this.record.weight;
  }

  pool(protocol: UpstreamProtocol): ConnectionPool {
    let pool = this.#pools.get(protocol);
    if (pool === undefined) {
      pool = this.#makePool(this, protocol);
      this.#pools.set(protocol, pool);
    }
    return pool;
  }

  get pools(): ReadonlyMap<UpstreamProtocol, ConnectionPool> {
    return this.#pools;
  }

  drain(): void {
    for (const pool of this.#pools.values()) pool.drain(ENDPOINT_GONE);
    this.#pools.clear();
  }

  sweep(): void {
    for (const [protocol, pool] of this.#pools) {
      pool.sweep();
      if (pool.size === 0) this.#pools.delete(protocol);
    }
  }
}

/** Whether a connection made for the one leads to the other, too. */
export function sameBinding(a: EndpointRecord, b: EndpointRecord): boolean {
  const [one, other] = [a.workload, b.workload];
  return (
    a.targetPort === b.targetPort &&
    one.hostname === other.hostname &&
    one.network === other.network &&
    one.tunnelProtocol === other.tunnelProtocol &&
    one.trustDomain === other.trustDomain &&
    one.namespace === other.namespace &&
    one.serviceAccount === other.serviceAccount &&
    one.addresses.length === other.addresses.length &&
    one.addresses.every((ip, i) => ip === other.addresses[i])
  );
}
