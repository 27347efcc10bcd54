/**
 * The registry: from Kubernetes objects to what the proxies are told, incrementally. Pure: no
 * clock, no sockets. A change marks what depends on it, and only that is derived again; whatever
 * comes out with the same bytes as before is not a change.
 */
import type {
  EndpointSlice,
  KubernetesObject,
  KubeService,
  Namespace,
  Node,
  ObjectChange,
  Pod,
} from "#common/kubernetes/objects.ts";
import { describeError } from "#common/runtime/errors.ts";
import { DATAPLANE_MODE_LABEL } from "./enrolment.ts";
import { serviceAccountOf } from "./pod-facts.ts";
import { ownAddresses, PodStore } from "./pod-store.ts";
import { localityOf } from "./pod-workload.ts";
import { PolicyIndex, type PolicyKind } from "./policies/index.ts";
import { Publisher } from "./publisher.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { ObjectStatus, RegistryProblem, RegistryUpdate } from "./registry-update.ts";
import { ResourceTable, type ResourceView } from "./resource-table.ts";
import { ServiceStore, selectorOf } from "./service-store.ts";
import { sliceEndpoints } from "./slice-workloads.ts";

/** What has to be derived again, by `<namespace>/<name>`. */
interface Dirty {
  readonly pods: Set<string>;
  readonly services: Set<string>;
  readonly slices: Set<string>;
}

/** Which pod, where, as whom: what callers are checked against. */
export interface PodPlace {
  readonly uid: string;
  /** "" while it is not scheduled. */
  readonly node: string;
  readonly serviceAccount: string;
}

export class Registry {
  readonly #pods = new PodStore();
  readonly #services = new ServiceStore();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #nodes = new Map<string, Node>();
  readonly #policies: PolicyIndex;
  readonly #table = new ResourceTable();
  readonly #publisher: Publisher;

  constructor(options: RegistryOptions) {
    this.#policies = new PolicyIndex(options);
    this.#publisher = new Publisher(options, {
      pods: this.#pods,
      services: this.#services,
      namespaces: this.#namespaces,
      nodes: this.#nodes,
      policies: this.#policies,
      table: this.#table,
    });
  }

  /** Everything that is published. Its answers change with the next `apply`. */
  get resources(): ResourceView {
    return this.#table;
  }

  /** Takes the changes in; of several changes of one object the last one counts. */
  apply(changes: readonly ObjectChange[]): RegistryUpdate {
    const dirty: Dirty = { pods: new Set(), services: new Set(), slices: new Set() };
    const problems: RegistryProblem[] = [];
    const statuses = new Map<string, ObjectStatus>();
    for (const change of changes) {
      attempt(problems, change.key, () => this.#take(change, dirty, statuses));
    }
    for (const key of dirty.services) {
      attempt(problems, `Service/${key}`, () => this.#publisher.service(key));
    }
    for (const key of dirty.slices) {
      attempt(problems, `EndpointSlice/${key}`, () => this.#publisher.slice(key));
    }
    for (const key of dirty.pods) {
      attempt(problems, `Pod/${key}`, () => this.#publisher.pod(key));
    }
    const inOrder = [...statuses.keys()].sort().flatMap((key) => statuses.get(key) ?? []);
    return { ...this.#table.takeChanges(), statuses: inOrder, problems };
  }

  /** The pod that has this name now. */
  findPod(namespace: string, name: string): PodPlace | undefined {
    const pod = this.#pods.get(`${namespace}/${name}`);
    if (pod === undefined) return undefined;
    const { nodeName: node = "" } = pod.spec;
    return { uid: pod.metadata.uid ?? "", node, serviceAccount: serviceAccountOf(pod) };
  }

  /**
   * Whether a pod of this service account runs on the node with an address of its own: what a
   * node's proxy may ask certificates for.
   */
  runsOnNode(node: string, namespace: string, serviceAccount: string): boolean {
    for (const key of this.#pods.onNode(node)) {
      const pod = this.#pods.get(key);
      if (pod === undefined || pod.metadata.namespace !== namespace) continue;
      if (ownAddresses(pod).length > 0 && serviceAccountOf(pod) === serviceAccount) return true;
    }
    return false;
  }

  #take(change: ObjectChange, dirty: Dirty, statuses: Map<string, ObjectStatus>): void {
    const [, namespace = "", name = ""] = change.key.split("/");
    switch (change.kind) {
      case "Pod":
        this.#takePod(`${namespace}/${name}`, asKind(change, "Pod"), dirty);
        break;
      case "Service":
        this.#takeService(`${namespace}/${name}`, asKind(change, "Service"), dirty);
        break;
      case "EndpointSlice":
        this.#takeSlice(`${namespace}/${name}`, asKind(change, "EndpointSlice"), dirty);
        break;
      case "Namespace":
        this.#takeNamespace(name, asKind(change, "Namespace"), dirty);
        break;
      case "Node":
        this.#takeNode(name, asKind(change, "Node"), dirty);
        break;
      case "AuthorizationPolicy":
      case "PeerAuthentication":
        this.#takePolicy(change.kind, { namespace, name }, change, dirty, statuses);
        break;
      default:
        break;
    }
  }

  #takePod(key: string, pod: Pod | undefined, dirty: Dirty): void {
    const before = this.#pods.get(key);
    if (pod === undefined) this.#pods.delete(key);
    else this.#pods.set(pod);
    dirty.pods.add(key);
    // An address that becomes a pod's, or stops being one, changes what a slice makes of it.
    for (const ip of [...ownAddresses(before), ...ownAddresses(pod)]) {
      for (const slice of this.#services.slicesAt(ip)) dirty.slices.add(slice);
    }
  }

  #takeService(key: string, service: KubeService | undefined, dirty: Dirty): void {
    const before = this.#services.get(key);
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(service);
    dirty.services.add(key);
    const namespace = key.slice(0, key.indexOf("/"));
    for (const selector of [selectorOf(before), selectorOf(service)]) {
      if (selector === undefined) continue;
      for (const pod of this.#pods.selected(namespace, selector)) dirty.pods.add(pod);
    }
    for (const slice of this.#services.slicesOf(key)) {
      this.#markSlice(slice, this.#services.slice(slice), dirty);
    }
  }

  #takeSlice(key: string, slice: EndpointSlice | undefined, dirty: Dirty): void {
    const before = this.#services.slice(key);
    if (slice === undefined) this.#services.deleteSlice(key);
    else this.#services.setSlice(slice);
    dirty.slices.add(key);
    for (const each of [before, slice]) {
      if (each !== undefined && this.#services.serviceOfSlice(each) !== undefined) {
        this.#markSlice(key, each, dirty);
      }
    }
  }

  /** Marks the slice and the pods whose addresses it lists. */
  #markSlice(key: string, slice: EndpointSlice | undefined, dirty: Dirty): void {
    dirty.slices.add(key);
    for (const { ip } of slice === undefined ? [] : sliceEndpoints(slice)) {
      for (const pod of this.#pods.atAddress(ip)) dirty.pods.add(pod);
    }
  }

  #takeNamespace(name: string, namespace: Namespace | undefined, dirty: Dirty): void {
    const before = this.#namespaces.get(name);
    if (namespace === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, namespace);
    const label = (object?: Namespace) => object?.metadata.labels?.[DATAPLANE_MODE_LABEL];
    if (label(before) === label(namespace)) return;
    for (const pod of this.#pods.inNamespace(name)) dirty.pods.add(pod);
  }

  #takeNode(name: string, node: Node | undefined, dirty: Dirty): void {
    const before = localityOf(this.#nodes.get(name));
    if (node === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, node);
    const after = localityOf(node);
    const moved =
      before.region !== after.region ||
      before.zone !== after.zone ||
      before.subzone !== after.subzone;
    if (!moved) return;
    for (const pod of this.#pods.onNode(name)) dirty.pods.add(pod);
  }

  #takePolicy(
    kind: PolicyKind,
    name: { readonly namespace: string; readonly name: string },
    change: ObjectChange,
    dirty: Dirty,
    statuses: Map<string, ObjectStatus>,
  ): void {
    const policy = asKind(change, kind);
    const { affected, conditions, issues, removed, upserted } =
      policy === undefined ? this.#policies.remove(kind, name) : this.#policies.set(policy);
    this.#publisher.policies(upserted, removed);
    if (affected === "all") {
      for (const pod of this.#pods.keys()) dirty.pods.add(pod);
    } else if (affected !== "none") {
      for (const pod of this.#pods.inNamespace(affected.namespace)) dirty.pods.add(pod);
    }
    statuses.delete(change.key);
    if (policy === undefined) return;
    const { generation } = policy.metadata;
    // An AuthorizationPolicy's issues are in its condition already.
    const told = kind === "PeerAuthentication" ? issues : [];
    const warnings = told.map(({ field, message }) => `spec.${field}: ${message}`);
    statuses.set(change.key, { kind, ...name, generation, conditions, warnings });
  }
}

/** The object of a change, checked to be what the change says. */
function asKind<Kind extends KubernetesObject["kind"]>(
  change: ObjectChange,
  kind: Kind,
): Extract<KubernetesObject, { kind: Kind }> | undefined {
  const { object } = change;
  if (object === undefined || object.kind !== kind) return undefined;
  return object as Extract<KubernetesObject, { kind: Kind }>;
}

/**
 * One bad object must not stop the others: the validator lets none through, but that is not here.
 */
function attempt(problems: RegistryProblem[], object: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    problems.push({ object, message: describeError(error) });
  }
}
