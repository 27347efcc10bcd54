/** The upstreams of a waypoint: every backend that requests have asked for, kept as the mesh is. */
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import type { Backend, BackendEnvironment } from "./backend.ts";
import { BackendEntry, type MeshView } from "./backend-entry.ts";
import { upstreamProtocol } from "./backend-policy.ts";
import { IDLE_BACKEND_MS, SWEEP_MS } from "./limits.ts";
import { Opener, type OpenerDependencies } from "./opener.ts";
import type {
  ConnectRequest,
  Lease,
  LeaseRefusal,
  LeaseRequest,
  RetryPermit,
  Upstreams,
  WireLease,
} from "./upstream.ts";

export interface UpstreamDependencies extends OpenerDependencies, MeshView {
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export class MeshUpstreams implements Upstreams {
  readonly #deps: UpstreamDependencies;
  readonly #environment: BackendEnvironment;
  readonly #entries = new Map<string, BackendEntry>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #unlisten: () => void;
  #refreshing: NodeJS.Immediate | undefined;

  constructor(deps: UpstreamDependencies) {
    this.#deps = deps;
    const { now, random } = deps;
    this.#environment = { opener: new Opener(deps), now, random };
    this.#unlisten = deps.mesh.onChange(() => {
      this.#refreshing ??= setImmediate(() => this.#refreshAll());
    });
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** What is known of every backend in use, for the admin port. */
  *backends(): Generator<Backend> {
    for (const entry of this.#entries.values()) yield* entry.backends();
  }

  async lease(request: LeaseRequest): Promise<Lease | LeaseRefusal> {
    const { backend: ref, workload, context } = request;
    const entry = this.#entry(ref, workload);
    const backend = entry.for(context.downstream, context.head);
    if ("reason" in backend) return backend;
    return backend.lease(request, upstreamProtocol(request, entry.service, backend.policy));
  }

  async connect(request: ConnectRequest): Promise<WireLease | LeaseRefusal> {
    const { backend: ref, workload, downstream } = request;
    const backend = this.#entry(ref, workload).for(downstream, undefined);
    return "reason" in backend ? backend : backend.connect(request);
  }

  permitRetry(backend: BackendRef, workload?: Workload): RetryPermit | undefined {
    return this.#entry(backend, workload).backend.permitRetry();
  }

  /** Idle connections close; those in use when their requests are over. */
  close(): void {
    clearInterval(this.#sweeper);
    if (this.#refreshing !== undefined) clearImmediate(this.#refreshing);
    this.#unlisten();
    for (const entry of this.#entries.values()) entry.drain();
    this.#entries.clear();
  }

  #entry(ref: BackendRef, workload: Workload | undefined): BackendEntry {
    const key = keyOf(ref, workload);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = new BackendEntry(ref, workload, this.#environment, this.#deps);
      this.#entries.set(key, entry);
    }
    entry.backend.usedAt = this.#deps.now();
    entry.refresh();
    return entry;
  }

  #refreshAll(): void {
    this.#refreshing = undefined;
    for (const entry of this.#entries.values()) entry.refresh();
  }

  #sweep(): void {
    const oldest = this.#deps.now() - IDLE_BACKEND_MS;
    for (const [key, entry] of this.#entries) {
      entry.sweep();
      if (entry.isIdle && entry.backend.usedAt < oldest) this.#entries.delete(key);
    }
  }
}

function keyOf(
  { namespace, hostname, port, subset }: BackendRef,
  workload: Workload | undefined,
): string {
  if (workload !== undefined) return `${workload.uid} ${port}`;
  return `${namespace}/${hostname} ${port} ${subset ?? ""}`;
}
