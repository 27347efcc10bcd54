/** The upstreams of a waypoint: every backend that requests have asked for, kept as the mesh is. */
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { Service } from "#common/model/service.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import { Backend, type BackendEnvironment } from "./backend.ts";
import type { EndpointRecord } from "./backend-host.ts";
import { policyOf, upstreamProtocol } from "./backend-policy.ts";
import { endpointRecords } from "./endpoints.ts";
import { IDLE_BACKEND_MS, SWEEP_MS } from "./limits.ts";
import { Opener, type OpenerDependencies } from "./opener.ts";
import { noHealthyUpstream } from "./replies.ts";
import type {
  ConnectRequest,
  Lease,
  LeaseRefusal,
  LeaseRequest,
  RetryPermit,
  Upstreams,
  WireLease,
} from "./upstream.ts";

export interface UpstreamDependencies extends OpenerDependencies {
  readonly mesh: ProxyState;
  readonly backend: (namespace: string, hostname: string) => BackendConfig | undefined;
  /** The waypoint's own record: decides which endpoints are near. */
  readonly self: () => Workload | undefined;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** What a backend was last made of; made anew when one of them is another object. */
interface Sources {
  readonly service: Service | undefined;
  readonly revision: number;
  readonly config: BackendConfig | undefined;
  readonly self: Workload | undefined;
  readonly workload: Workload | undefined;
}

interface Entry {
  readonly backend: Backend;
  readonly workloadUid: string | undefined;
  sources: Sources | undefined;
  /** Why it cannot be used. */
  refusal: LeaseRefusal | undefined;
}

export class MeshUpstreams implements Upstreams {
  readonly #deps: UpstreamDependencies;
  readonly #environment: BackendEnvironment;
  readonly #entries = new Map<string, Entry>();
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
    for (const { backend } of this.#entries.values()) yield backend;
  }

  async lease(request: LeaseRequest): Promise<Lease | LeaseRefusal> {
    const entry = this.#entry(request.backend, request.workload);
    if (entry.refusal !== undefined) return entry.refusal;
    const { backend, sources } = entry;
    const protocol = upstreamProtocol(request, sources?.service, backend.policy);
    return backend.lease(request, protocol);
  }

  async connect(request: ConnectRequest): Promise<WireLease | LeaseRefusal> {
    const entry = this.#entry(request.backend, request.workload);
    return entry.refusal ?? entry.backend.connect(request);
  }

  permitRetry(backend: BackendRef, workload?: Workload): RetryPermit | undefined {
    return this.#entry(backend, workload).backend.permitRetry();
  }

  /** Idle connections close; those in use when their requests are over. */
  close(): void {
    clearInterval(this.#sweeper);
    if (this.#refreshing !== undefined) clearImmediate(this.#refreshing);
    this.#unlisten();
    for (const { backend } of this.#entries.values()) backend.drain();
    this.#entries.clear();
  }

  #entry(ref: BackendRef, workload: Workload | undefined): Entry {
    const key = keyOf(ref, workload);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const backend = new Backend(ref, this.#environment);
      entry = { backend, workloadUid: workload?.uid, sources: undefined, refusal: undefined };
      this.#entries.set(key, entry);
    }
    entry.backend.usedAt = this.#deps.now();
    this.#refresh(entry);
    return entry;
  }

  #refresh(entry: Entry): void {
    const { ref } = entry.backend;
    const { mesh, backend, self } = this.#deps;
    const direct = entry.workloadUid !== undefined;
    const service = direct ? undefined : mesh.findServiceByKey(`${ref.namespace}/${ref.hostname}`);
    const now: Sources = {
      service,
      revision: service === undefined ? 0 : mesh.endpointsOf(service).revision,
      config: direct ? undefined : backend(ref.namespace, ref.hostname),
      self: self(),
      workload: direct ? mesh.findWorkloadByUid(entry.workloadUid ?? "") : undefined,
    };
    if (entry.sources !== undefined && sameSources(entry.sources, now)) return;
    entry.sources = now;
    const made = direct ? workloadEndpoints(ref, now) : serviceEndpoints(ref, now, mesh);
    entry.refusal = "reason" in made ? made : undefined;
    if ("reason" in made) entry.backend.update([], {});
    else entry.backend.update(made.records, made.policy);
  }

  #refreshAll(): void {
    this.#refreshing = undefined;
    for (const entry of this.#entries.values()) this.#refresh(entry);
  }

  #sweep(): void {
    const oldest = this.#deps.now() - IDLE_BACKEND_MS;
    for (const [key, { backend }] of this.#entries) {
      backend.sweep();
      if (backend.isIdle && backend.usedAt < oldest) this.#entries.delete(key);
    }
  }
}

interface Made {
  readonly records: readonly EndpointRecord[];
  readonly policy: TrafficPolicy;
}

function serviceEndpoints(
  ref: BackendRef,
  { service, config, self }: Sources,
  mesh: ProxyState,
): Made | LeaseRefusal {
  const name = `${ref.namespace}/${ref.hostname}`;
  if (service === undefined) return noHealthyUpstream(`${name} is not known`);
  // Its policy may say that TLS is to be originated: nothing is sent before that is known.
  if (config === undefined) return noHealthyUpstream(`the configuration of ${name} has not come`);
  const subset = ref.subset === undefined ? undefined : config.subsets[ref.subset];
  if (ref.subset !== undefined && subset === undefined) {
    return noHealthyUpstream(`${name} has no subset ${ref.subset}`);
  }
  const policy = policyOf(config, ref.port, subset);
  const records = endpointRecords({
    service,
    workloads: mesh.endpointsOf(service).workloads.values(),
    port: ref.port,
    uids: subset && new Set(subset.workloads),
    self,
    loadBalancer: policy.loadBalancer,
  });
  return { records, policy };
}

function workloadEndpoints(ref: BackendRef, { workload }: Sources): Made | LeaseRefusal {
  if (workload === undefined) return noHealthyUpstream("the workload has gone");
  if (workload.unusable !== undefined) return noHealthyUpstream(workload.unusable);
  return { records: [{ workload, targetPort: ref.port, weight: 1, tier: 0 }], policy: {} };
}

function keyOf(
  { namespace, hostname, port, subset }: BackendRef,
  workload: Workload | undefined,
): string {
  if (workload !== undefined) return `${workload.uid} ${port}`;
  return `${namespace}/${hostname} ${port} ${subset ?? ""}`;
}

function sameSources(a: Sources, b: Sources): boolean {
  return (
    a.service === b.service &&
    a.revision === b.revision &&
    a.config === b.config &&
    a.self === b.self &&
    a.workload === b.workload
  );
}
