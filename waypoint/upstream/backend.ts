/** One backend: its endpoints, its policy, and what is under way to it. */
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import { BackendHost, type EndpointRecord, sameBinding } from "./backend-host.ts";
import { Circuit } from "./circuit.ts";
import { ConnectionPool, type PooledConnection } from "./connection-pool.ts";
import { hashOf, hashOfSource } from "./hash-key.ts";
import { HostSelection } from "./host-selection.ts";
import { ENDPOINT_PICKS, REQUESTS_PER_OPENING_HTTP2 } from "./limits.ts";
import type { Opener } from "./opener.ts";
import { ENDPOINT_GONE, noHealthyUpstream, overflow } from "./replies.ts";
import type {
  AttemptOutcome,
  ConnectRequest,
  Lease,
  LeaseRefusal,
  LeaseRequest,
  RetryPermit,
  UpstreamProtocol,
  WireLease,
} from "./upstream.ts";

export interface BackendEnvironment {
  readonly opener: Opener;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class Backend {
  readonly ref: BackendRef;
  readonly circuit = new Circuit({});
  /** When it was last asked for. */
  usedAt: number;
  readonly #environment: BackendEnvironment;
  #hosts = new Map<string, BackendHost>();
  #policy: TrafficPolicy = {};
  #selection: HostSelection;
  #begun = false;

  constructor(ref: BackendRef, environment: BackendEnvironment) {
    this.ref = ref;
    this.#environment = environment;
    this.usedAt = environment.now();
    this.#selection = new HostSelection([], this.#policy, environment);
  }

  get policy(): TrafficPolicy {
    return this.#policy;
  }

  get hosts(): Iterable<BackendHost> {
    return this.#hosts.values();
  }

  /**
   * Takes in other endpoints or another policy. Connections stay where they would be made the same
   * way again.
   */
  update(records: readonly EndpointRecord[], policy: TrafficPolicy): void {
    const { now } = this.#environment;
    const kept = this.#begun && sameDialling(this.#policy, policy);
    const addedAt = this.#begun ? now() : undefined;
    const before = this.#hosts;
    this.#begun = true;
    this.#policy = policy;
    this.circuit.policy = policy.connectionPool ?? {};
    this.#hosts = new Map();
    for (const record of records) {
      const { uid } = record.workload;
      const known = before.get(uid);
      if (known !== undefined && kept && sameBinding(known.record, record)) {
        known.record = record;
        this.#hosts.set(uid, known);
        before.delete(uid);
      } else this.#hosts.set(uid, this.#newHost(record, addedAt));
    }
    for (const host of before.values()) host.drain();
    this.#selection = new HostSelection([...this.#hosts.values()], policy, this.#environment);
  }

  async lease(request: LeaseRequest, protocol: UpstreamProtocol): Promise<Lease | LeaseRefusal> {
    const { context, exclude } = request;
    const hash = hashOf(this.#policy.loadBalancer?.hash, context);
    for (let picks = 1; ; picks++) {
      if (!this.circuit.mayRequest) return overflow("maxRequests");
      const host = this.#selection.pick(exclude, hash);
      if (host === undefined) return this.#noHost();
      host.active++;
      const pool = host.pool(protocol);
      const acquired = pool.acquire(() => context.signal);
      const connection = acquired instanceof Promise ? await acquired : acquired;
      if (!("reason" in connection)) return this.#leaseOn(host, pool, connection);
      this.#refused(host, connection);
      // It went while the request waited: that is nobody's failure.
      if (connection !== ENDPOINT_GONE || picks >= ENDPOINT_PICKS) return connection;
    }
  }

  async connect(request: ConnectRequest): Promise<WireLease | LeaseRefusal> {
    const { circuit } = this;
    const { downstream, exclude, signal } = request;
    if (!circuit.mayConnect) return overflow("maxConnections");
    const bySource = this.#policy.loadBalancer?.hash?.kind === "source-ip";
    const hash = bySource ? hashOfSource(downstream) : undefined;
    const host = this.#selection.pick(exclude, hash);
    if (host === undefined) return this.#noHost();
    host.active++;
    circuit.connections++;
    const { opener } = this.#environment;
    const target = { record: host.record, backend: this.ref, policy: this.#policy };
    const opened = await opener.openWire(target, { client: downstream.source, signal });
    if ("reason" in opened) {
      circuit.connections--;
      this.#refused(host, opened);
      return opened;
    }
    this.#selection.note(host, CONNECTED);
    const finished = once(() => {
      circuit.connections--;
      host.active--;
    });
    return { ...opened, finished };
  }

  permitRetry(): RetryPermit | undefined {
    return this.circuit.permitRetry();
  }

  get isIdle(): boolean {
    const { connections, pending, requests } = this.circuit;
    return connections + pending + requests === 0;
  }

  sweep(): void {
    for (const host of this.#hosts.values()) host.sweep();
  }

  drain(): void {
    for (const host of this.#hosts.values()) host.drain();
  }

  #leaseOn(host: BackendHost, pool: ConnectionPool, pooled: PooledConnection): Lease {
    const { circuit } = this;
    circuit.requests++;
    let over = false;
    return {
      endpoint: pooled.endpoint,
      connection: pooled.connection,
      reused: pooled.served > 1,
      finished: (outcome) => {
        if (over) return;
        over = true;
        circuit.requests--;
        host.active--;
        this.#selection.note(host, outcome);
        pool.release(pooled);
      },
    };
  }

  #refused(host: BackendHost, refusal: LeaseRefusal): void {
    host.active--;
    const failed = refusal !== ENDPOINT_GONE && refusal.reason === "upstream-connect-failure";
    this.#selection.note(host, failed ? { kind: "local-failure", milliseconds: 0 } : UNUSED);
  }

  #noHost(): LeaseRefusal {
    const { namespace, hostname, port, subset } = this.ref;
    const name = `${namespace}/${hostname}:${port}${subset === undefined ? "" : ` (${subset})`}`;
    const all = this.#hosts.size;
    return noHealthyUpstream(all === 0 ? `${name} has no endpoint` : `${name}: ${all} ejected`);
  }

  #newHost(record: EndpointRecord, addedAt: number | undefined): BackendHost {
    const { opener, now } = this.#environment;
    return new BackendHost(record, addedAt, (host, protocol) => {
      const target = { record: host.record, backend: this.ref, policy: this.#policy };
      return new ConnectionPool({
        circuit: this.circuit,
        perOpening: protocol === "http1" ? 1 : REQUESTS_PER_OPENING_HTTP2,
        now,
        open: () => opener.open(target, protocol),
      });
    });
  }
}

const UNUSED: AttemptOutcome = { kind: "unused" };
const CONNECTED: AttemptOutcome = { kind: "response", status: 200, milliseconds: 0 };

/** Whether a connection would be made the same way by both. */
function sameDialling(a: TrafficPolicy, b: TrafficPolicy): boolean {
  if (a === b) return true;
  if (a.proxyProtocol !== b.proxyProtocol) return false;
  return JSON.stringify(a.tls) === JSON.stringify(b.tls);
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (!done) run();
    done = true;
  };
}
