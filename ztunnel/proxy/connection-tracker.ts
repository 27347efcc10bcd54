/**
 * The connections of one data worker: what the access log and the metrics are told of each, and the
 * handles by which they are cut when their pod, their policy or the process goes away.
 */
import type { Identity } from "#common/model/identity.ts";
import type { SocketAddress } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import type { ConnectionSecurity, LimitName } from "#common/telemetry/connection-record.ts";
import type { End } from "#common/transport/end.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { PEER_REVOKED } from "#common/transport/peer-watch.ts";
import { type Relay, type RelayOutcome, relay } from "#common/transport/relay.ts";
import { STREAM_SHED } from "#common/transport/stalled-streams.ts";
import type { Permit } from "./admit.ts";
import type { Reauthorizer, StandingConnection } from "./reauthorizer.ts";

/** Everything known of a connection when its fate was decided. */
export interface ConnectionMeta {
  readonly reporter: "source" | "destination";
  readonly sourceAddress: SocketAddress | undefined;
  readonly source: Workload | undefined;
  /** Known unless `security` is "unknown"; the pod's own on the source's side. */
  readonly sourceIdentity: Identity | undefined;
  readonly destinationAddress: SocketAddress | undefined;
  /** What the client dialled; at the source only. */
  readonly dialledAddress?: SocketAddress | undefined;
  /** What CONNECT asked for, `ip:port` or `host:port`. */
  readonly hboneAddress: string | undefined;
  readonly destination: Workload | undefined;
  readonly destinationIdentity: Identity | undefined;
  readonly service: Service | undefined;
  readonly security: ConnectionSecurity;
  /** What policy allowed, at the destination: looked at again when policies change. */
  readonly permit?: Permit;
}

/** Application bytes carried, whichever side reports. */
export interface ByteCounts {
  readonly fromClient: number;
  readonly fromServer: number;
}

export interface ConnectionReporter {
  opened(meta: ConnectionMeta): void;
  /** Bytes since the last report of a connection that stays open. */
  progressed(meta: ConnectionMeta, delta: ByteCounts): void;
  /** `total` over its whole life, `delta` since the last report. */
  closed(
    meta: ConnectionMeta,
    total: ByteCounts,
    delta: ByteCounts,
    durationMs: number,
    why: ConnectionFailure | undefined,
  ): void;
  /** Refused or failed before any byte was carried. */
  refused(meta: ConnectionMeta, durationMs: number, why: ConnectionFailure): void;
  /** A connection was dropped before anything was known of it: no descriptor, or a bound. */
  acceptFailed(): void;
  /** A name server was asked for the addresses of an endpoint's host name. */
  hostLookedUp(): void;
  /** A bound was reached by what has no record of its own. */
  limitReached(limit: LimitName): void;
  /** Something that cannot happen did, to one connection. */
  internalError(error: unknown): void;
}

/** Where connections that stand by a permit are known to whoever may take it back. */
export type StandingConnections = Pick<Reauthorizer, "add" | "delete">;

interface Tracked {
  readonly id: number;
  readonly podUid: string;
  readonly meta: ConnectionMeta;
  readonly startedAt: number;
  readonly downstream: End;
  readonly upstream: End;
  relay: Relay | undefined;
  /** Set once it stands by a permit. */
  standing: StandingConnection | undefined;
  cause: ConnectionFailure | undefined;
  reported: ByteCounts;
}

export class ConnectionTracker {
  readonly #reporter: ConnectionReporter;
  readonly #standing: StandingConnections;
  readonly #connections = new Map<number, Tracked>();
  /** How many of them each pod has; no entry for none. */
  readonly #sizes = new Map<string, number>();
  readonly #idleWaiters: (() => void)[] = [];
  #nextId = 1;
  /** Accepted, and neither relayed nor refused yet. */
  #undecided = 0;

  constructor(reporter: ConnectionReporter, standing: StandingConnections) {
    this.#reporter = reporter;
    this.#standing = standing;
  }

  /** Connections that stand, and those whose fate is not decided. */
  get load(): number {
    return this.#connections.size + this.#undecided;
  }

  /** Established connections of one pod. */
  sizeOf(podUid: string): number {
    return this.#sizes.get(podUid) ?? 0;
  }

  /** Carries the connection until it is over, and reports it. */
  relay(
    podUid: string,
    meta: ConnectionMeta,
    startedAt: number,
    downstream: End,
    upstream: End,
  ): void {
    const id = this.#nextId++;
    const tracked: Tracked = {
      id,
      podUid,
      meta,
      startedAt,
      downstream,
      upstream,
      relay: undefined,
      standing: undefined,
      cause: undefined,
      reported: { fromClient: 0, fromServer: 0 },
    };
    this.#connections.set(id, tracked);
    this.#sizes.set(podUid, this.sizeOf(podUid) + 1);
    this.#reporter.opened(meta);
    tracked.relay = relay(downstream, upstream, (outcome) => this.#done(tracked, outcome));
    const { permit } = meta;
    if (permit === undefined || !this.#connections.has(id)) return;
    tracked.standing = { permit, cut: (why) => cut(tracked, why) };
    this.#standing.add(tracked.standing);
  }

  refused(meta: ConnectionMeta, startedAt: number, why: ConnectionFailure): void {
    this.#reporter.refused(meta, performance.now() - startedAt, why);
  }

  /** `limit` is the bound that was reached, where that is why. */
  acceptFailed(limit?: LimitName): void {
    this.#reporter.acceptFailed();
    if (limit !== undefined) this.#reporter.limitReached(limit);
  }

  /** One connection met a bug of ours: it is closed and told of, the others go on. */
  internalError(error: unknown): void {
    this.#reporter.internalError(error);
  }

  /** Cuts the connections for which `judge` gives a reason. Returns how many. */
  abort(judge: (podUid: string, meta: ConnectionMeta) => ConnectionFailure | undefined): number {
    let count = 0;
    for (const tracked of [...this.#connections.values()]) {
      const why = judge(tracked.podUid, tracked.meta);
      if (why === undefined) continue;
      count++;
      cut(tracked, why);
    }
    return count;
  }

  /**
   * Reports the bytes of every connection that moved some since the last call. A peer that left
   * while nobody read from it would hold its connection for as long as that lasts: it is probed.
   */
  reportProgress(): void {
    for (const tracked of this.#connections.values()) {
      const delta = takeDelta(tracked);
      if (delta.fromClient + delta.fromServer > 0) this.#reporter.progressed(tracked.meta, delta);
      tracked.downstream.probe();
      tracked.upstream.probe();
    }
  }

  /** A connection was accepted: a drain waits for what becomes of it. `decided` must follow. */
  accepted(): void {
    this.#undecided++;
  }

  decided(): void {
    this.#undecided--;
    this.#tellIfIdle();
  }

  /** Resolves when no connection is left, nor one on its way to be. */
  whenIdle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  *metas(): Generator<{ podUid: string; meta: ConnectionMeta }> {
    for (const { podUid, meta } of this.#connections.values()) yield { podUid, meta };
  }

  #done(tracked: Tracked, outcome: RelayOutcome): void {
    this.#connections.delete(tracked.id);
    const left = this.sizeOf(tracked.podUid) - 1;
    if (left > 0) this.#sizes.set(tracked.podUid, left);
    else this.#sizes.delete(tracked.podUid);
    if (tracked.standing !== undefined) this.#standing.delete(tracked.standing);
    const why = tracked.cause ?? (outcome.error && describeBreak(outcome, outcome.error));
    const durationMs = performance.now() - tracked.startedAt;
    const delta = takeDelta(tracked);
    this.#reporter.closed(tracked.meta, byteCounts(tracked), delta, durationMs, why);
    this.#tellIfIdle();
  }

  get #isIdle(): boolean {
    return this.#connections.size === 0 && this.#undecided === 0;
  }

  #tellIfIdle(): void {
    if (!this.#isIdle) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

function cut(tracked: Tracked, why: ConnectionFailure): void {
  tracked.cause ??= why;
  tracked.relay?.abort(new Error(why.message));
}

function byteCounts({ downstream, upstream }: Tracked): ByteCounts {
  return { fromClient: downstream.bytesRead, fromServer: upstream.bytesRead };
}

/** The bytes since the last call for this connection. */
function takeDelta(tracked: Tracked): ByteCounts {
  const now = byteCounts(tracked);
  const delta = {
    fromClient: now.fromClient - tracked.reported.fromClient,
    fromServer: now.fromServer - tracked.reported.fromServer,
  };
  tracked.reported = now;
  return delta;
}

function describeBreak(outcome: RelayOutcome, error: Error): ConnectionFailure {
  const code = "code" in error ? error.code : undefined;
  if (code === STREAM_SHED) return limitReached("stalled-bytes", error.message);
  if (code === PEER_REVOKED) return failure("certificate-revoked", error.message);
  const reason = code === "ECONNRESET" || code === "EPIPE" ? "peer-reset" : "io-error";
  const side = outcome.brokenBy ?? "proxy";
  return failure(reason, `${side} connection broken: ${error.message}`);
}
