/** One backend as requests ask for it, made anew when the mesh or its configuration changes. */
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import type { Service } from "#common/model/service.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import type { Downstream } from "../filter/stage.ts";
import type { RequestHead } from "../http/message.ts";
import { Backend, type BackendEnvironment } from "./backend.ts";
import type { EndpointRecord } from "./backend-host.ts";
import { policyOf } from "./backend-policy.ts";
import {
  type DynamicTarget,
  dynamicTarget,
  dynamicWorkload,
  isDynamic,
} from "./dynamic-endpoint.ts";
import { endpointRecords } from "./endpoints.ts";
import { DYNAMIC_ENDPOINTS } from "./limits.ts";
import { noHealthyUpstream } from "./replies.ts";
import type { LeaseRefusal } from "./upstream.ts";

export interface MeshView {
  readonly mesh: ProxyState;
  readonly backend: (namespace: string, hostname: string) => BackendConfig | undefined;
  /** The waypoint's own record: decides which endpoints are near. */
  readonly self: () => Workload | undefined;
}

/** Made anew when one of them is another object. */
interface Sources {
  readonly service: Service | undefined;
  readonly revision: number;
  readonly config: BackendConfig | undefined;
  readonly self: Workload | undefined;
  readonly workload: Workload | undefined;
}

export class BackendEntry {
  readonly backend: Backend;
  readonly #environment: BackendEnvironment;
  readonly #view: MeshView;
  readonly #workloadUid: string | undefined;
  /** By what requests name; the one asked for longest ago first. */
  readonly #dynamic = new Map<string, Backend>();
  #sources: Sources | undefined;
  #made: Made | LeaseRefusal | undefined;

  constructor(
    ref: BackendRef,
    workload: Workload | undefined,
    environment: BackendEnvironment,
    view: MeshView,
  ) {
    this.backend = new Backend(ref, environment);
    this.#workloadUid = workload?.uid;
    this.#environment = environment;
    this.#view = view;
  }

  get service(): Service | undefined {
    return this.#sources?.service;
  }

  /** Itself, and those that requests name. */
  *backends(): Generator<Backend> {
    yield this.backend;
    yield* this.#dynamic.values();
  }

  /** What serves this client; a refusal where nothing can. `head`: of HTTP. */
  for(downstream: Downstream, head: RequestHead | undefined): Backend | LeaseRefusal {
    const made = this.#made;
    if (made === undefined) return this.backend;
    if ("reason" in made) return made;
    if (made.dynamic === undefined) return this.backend;
    const target = dynamicTarget(made.dynamic, downstream, head);
    if (target !== undefined) return this.#backendFor(target, made.dynamic, made.policy);
    return noHealthyUpstream(`${made.dynamic.hostname} has no endpoint of the name asked for`);
  }

  /** Takes in what has changed since. */
  refresh(): void {
    const now = this.#readSources();
    if (this.#sources !== undefined && sameSources(this.#sources, now)) return;
    const { ref } = this.backend;
    const made =
      this.#workloadUid === undefined
        ? serviceEndpoints(ref, now, this.#view.mesh)
        : workloadEndpoints(ref, now);
    this.#sources = now;
    this.#made = made;
    if ("reason" in made) this.backend.update([], {});
    else this.backend.update(made.records, made.policy);
    for (const backend of this.#dynamic.values()) backend.drain();
    this.#dynamic.clear();
  }

  get isIdle(): boolean {
    for (const backend of this.backends()) if (!backend.isIdle) return false;
    return true;
  }

  sweep(): void {
    for (const backend of this.backends()) backend.sweep();
  }

  drain(): void {
    for (const backend of this.backends()) backend.drain();
  }

  #readSources(): Sources {
    const { ref } = this.backend;
    const { mesh, backend, self } = this.#view;
    const uid = this.#workloadUid;
    if (uid !== undefined) {
      const workload = mesh.findWorkloadByUid(uid);
      return { service: undefined, revision: 0, config: undefined, self: undefined, workload };
    }
    const service = mesh.findServiceByKey(`${ref.namespace}/${ref.hostname}`);
    return {
      service,
      revision: service === undefined ? 0 : mesh.endpointsOf(service).revision,
      config: backend(ref.namespace, ref.hostname),
      self: self(),
      workload: undefined,
    };
  }

  #backendFor(target: DynamicTarget, service: Service, policy: TrafficPolicy): Backend {
    const key = `${target.ip} ${target.hostname}`;
    const known = this.#dynamic.get(key);
    this.#dynamic.delete(key);
    const backend = known ?? this.#makeDynamic(target, service, policy);
    this.#dynamic.set(key, backend);
    const [oldest] = this.#dynamic;
    if (oldest !== undefined && this.#dynamic.size > DYNAMIC_ENDPOINTS) {
      this.#dynamic.delete(oldest[0]);
      oldest[1].drain();
    }
    return backend;
  }

  #makeDynamic(target: DynamicTarget, service: Service, policy: TrafficPolicy): Backend {
    const { ref } = this.backend;
    // TLS is originated for the name that was asked for.
    const hostname = target.hostname === "" ? ref.hostname : target.hostname;
    const backend = new Backend({ ...ref, hostname }, this.#environment);
    const port = service.ports.find(({ servicePort }) => servicePort === ref.port);
    const targetPort = port !== undefined && port.targetPort > 0 ? port.targetPort : ref.port;
    const workload = dynamicWorkload(service, target);
    backend.update([{ workload, targetPort, weight: 1, tier: 0 }], policy);
    return backend;
  }
}

interface Made {
  readonly records: readonly EndpointRecord[];
  readonly policy: TrafficPolicy;
  /** Set where each request says what its endpoint is. */
  readonly dynamic?: Service;
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
  if (isDynamic(service, policy)) return { records: [], policy, dynamic: service };
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

function sameSources(a: Sources, b: Sources): boolean {
  return (
    a.service === b.service &&
    a.revision === b.revision &&
    a.config === b.config &&
    a.self === b.self &&
    a.workload === b.workload
  );
}
