/**
 * Leader election by a Lease, as Kubernetes' own components do it (client-go's leaderelection):
 * whoever holds the Lease renews it; whoever sees it unrenewed for its duration, by the own clock,
 * takes it. A holder that cannot renew stops leading well before others may begin.
 */
import { isConflict, isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient, KubeRequest } from "#common/kube-client/kube-client.ts";
import { collectionPath, objectPath } from "#common/kube-client/resources.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  LEASE_DURATION_MS,
  LEASE_RENEW_DEADLINE_MS,
  LEASE_RETRY_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";
import { isHeldBack } from "#istiod-lite/config/source.ts";

export interface ElectionClock {
  /** Milliseconds that only go forward. */
  now(): number;
  /** For the Lease's own times, which people read. */
  date(): Date;
  /** Resolves after so long, or at once when aborted. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export interface LeaseElectorOptions {
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Who this is: no other process says the same. */
  readonly identity: string;
}

export interface LeaseElectorDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly clock: ElectionClock;
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

interface Lease {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec?: LeaseSpec;
}

export class LeaseElector implements Leadership {
  readonly #options: LeaseElectorOptions;
  readonly #deps: LeaseElectorDeps;
  readonly #listeners: ((isLeader: boolean) => void)[] = [];
  readonly #closing = new AbortController();
  #term: AbortController | undefined;
  /** Until when this process may take itself for the leader. */
  #validUntil = Number.NEGATIVE_INFINITY;
  /** The Lease as it was seen last, and when it was seen to be another. */
  #seen: { readonly version: string; readonly at: number } | undefined;
  #running: Promise<void> | undefined;

  constructor(options: LeaseElectorOptions, deps: LeaseElectorDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get isLeader(): boolean {
    if (this.#term === undefined) return false;
    if (this.#deps.clock.now() < this.#validUntil) return true;
    this.#lose("it could not be renewed in time");
    return false;
  }

  get signal(): AbortSignal {
    return this.#term?.signal ?? AbortSignal.abort();
  }

  onChange(listener: (isLeader: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** Stands for election from now on. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Leads no more, and lets the next one begin at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
    // Also where it was won while this process was told to end.
    if (this.#deps.clock.now() >= this.#validUntil) return;
    this.#lose("it is given up");
    try {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== this.#options.identity) return;
      await this.#replace(lease, { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 });
    } catch (error) {
      this.#deps.logger.warn("the Lease was not given up", { why: describeError(error) });
    }
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#deps;
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#attempt();
        failures = 0;
      } catch (error) {
        if (!isConflict(error) && !isHeldBack(error)) {
          // An API server that is away for an hour is told of once.
          const level = failures++ === 0 ? "warn" : "debug";
          logger[level]("the Lease was neither taken nor renewed", { why: describeError(error) });
        }
      }
      // Looks at the clock, and says so where the time is over.
      void this.isLeader;
      await clock.sleep(LEASE_RETRY_MS, signal);
    }
  }

  async #attempt(): Promise<void> {
    const startedAt = this.#deps.clock.now();
    const { identity } = this.#options;
    const lease = await this.#read();
    if (lease === undefined) {
      await this.#create();
      this.#won(startedAt);
      return;
    }
    const { spec = {} } = lease;
    if (spec.holderIdentity === identity && this.#term !== undefined) {
      await this.#replace(lease, { ...spec, ...this.#renewal() });
      this.#won(startedAt);
      return;
    }
    if (this.#term !== undefined) this.#lose(`${spec.holderIdentity || "nobody"} holds it`);
    if (!this.#isFree(lease, startedAt)) return;
    const acquireTime = microTime(this.#deps.clock.date());
    const leaseTransitions = (spec.leaseTransitions ?? 0) + 1;
    await this.#replace(lease, {
      ...spec,
      ...this.#renewal(),
      holderIdentity: identity,
      acquireTime,
      leaseTransitions,
    });
    this.#won(startedAt);
  }

  /** Nobody's, or not renewed for its whole duration while this process was looking. */
  #isFree({ metadata, spec = {} }: Lease, now: number): boolean {
    const version = metadata.resourceVersion ?? "";
    if (this.#seen?.version !== version) this.#seen = { version, at: now };
    if (!spec.holderIdentity || spec.holderIdentity === this.#options.identity) return true;
    const durationMs = (spec.leaseDurationSeconds ?? LEASE_DURATION_MS / 1000) * 1000;
    return now >= this.#seen.at + durationMs;
  }

  #renewal(): LeaseSpec {
    const renewTime = microTime(this.#deps.clock.date());
    return { renewTime, leaseDurationSeconds: LEASE_DURATION_MS / 1000 };
  }

  #won(startedAt: number): void {
    this.#validUntil = startedAt + LEASE_RENEW_DEADLINE_MS;
    if (this.#term !== undefined || this.#closing.signal.aborted) return;
    this.#term = new AbortController();
    this.#deps.logger.info("this replica leads", { lease: this.#options.name });
    for (const listener of this.#listeners) listener(true);
  }

  #lose(why: string): void {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    term.abort();
    this.#deps.logger.info("this replica leads no more", { lease: this.#options.name, why });
    for (const listener of this.#listeners) listener(false);
  }

  /** A leader has no more time for an answer than it has left to lead. */
  #request(request: KubeRequest): Promise<unknown> {
    const leftMs = this.#validUntil - this.#deps.clock.now();
    const timeoutMs = leftMs > 0 ? Math.min(leftMs, LEASE_RETRY_MS * 2) : LEASE_RETRY_MS * 2;
    return this.#deps.client.request({ ...request, timeoutMs });
  }

  async #read(): Promise<Lease | undefined> {
    try {
      return (await this.#request({ method: "GET", path: this.#path })) as Lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #create(): Promise<void> {
    const { name, namespace, identity } = this.#options;
    const acquireTime = microTime(this.#deps.clock.date());
    const spec = { ...this.#renewal(), holderIdentity: identity, acquireTime, leaseTransitions: 0 };
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace },
      spec,
    };
    await this.#request({ method: "POST", path: collectionPath("Lease", namespace), body });
  }

  /** The whole object goes back with its version: whoever was faster has won. */
  async #replace(lease: Lease, spec: LeaseSpec): Promise<void> {
    await this.#request({ method: "PUT", path: this.#path, body: { ...lease, spec } });
  }

  get #path(): string {
    const { name, namespace } = this.#options;
    return objectPath({ kind: "Lease", namespace, name });
  }
}

/** Kubernetes' MicroTime. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
