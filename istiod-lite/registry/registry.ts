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
  ServiceEntry,
  WorkloadEntry,
} from "#common/kubernetes/objects.ts";
import { describeError } from "#common/runtime/errors.ts";
import { ChangeMarks } from "./change-marks.ts";
import { entryClaim, serviceClaim } from "./claim-of.ts";
import { createContributors } from "./create-contributors.ts";
import { EntryAddresses } from "./entry-addresses.ts";
import { EntryPublisher } from "./entry-publisher.ts";
import { EntryStore } from "./entry-store.ts";
import { createdMs } from "./pod-facts.ts";
import { type PodPlace, PodStore } from "./pod-store.ts";
import { PolicyIndex, type PolicyKind } from "./policies/index.ts";
import { Publications } from "./publications.ts";
import { Publisher } from "./publisher.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { RegistryProblem, RegistryUpdate } from "./registry-update.ts";
import { ResourceTable, type ResourceView } from "./resource-table.ts";
import { type ServiceClaim, ServiceClaims } from "./service-claims.ts";
import { ServiceStore } from "./service-store.ts";
import { StatusBook } from "./status-book.ts";
import { WaypointPublisher } from "./waypoints/waypoint-publisher.ts";

/** What one batch of changes has brought so far. */
interface Batch {
  readonly marks: ChangeMarks;
  readonly problems: RegistryProblem[];
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #pods = new PodStore();
  readonly #services = new ServiceStore();
  readonly #entries = new EntryStore();
  readonly #claims = new ServiceClaims();
  readonly #addresses = new EntryAddresses();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #nodes = new Map<string, Node>();
  readonly #policies: PolicyIndex;
  readonly #table = new ResourceTable();
  readonly #publisher: Publisher;
  readonly #entryPublisher: EntryPublisher;
  readonly #waypointPublisher: WaypointPublisher;
  readonly #stores;
  /** ServiceEntries with a host that still has no address, though it should. */
  readonly #unaddressed = new Set<string>();
  readonly #statuses = new StatusBook();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#policies = new PolicyIndex(options);
    this.#stores = {
      pods: this.#pods,
      services: this.#services,
      entries: this.#entries,
      claims: this.#claims,
      addresses: this.#addresses,
      namespaces: this.#namespaces,
      nodes: this.#nodes,
      policies: this.#policies,
    };
    const publications = new Publications(this.#table);
    const contributors = createContributors(options);
    const deps = { stores: this.#stores, table: this.#table, publications };
    this.#publisher = new Publisher(options, deps);
    this.#entryPublisher = new EntryPublisher(options, this.#stores, publications);
    this.#waypointPublisher = new WaypointPublisher(options, this.#stores, contributors);
  }

  /** Everything that is published. Its answers change with the next `apply`. */
  get resources(): ResourceView {
    return this.#table;
  }

  /** Takes the changes in; of several changes of one object the last one counts. */
  apply(changes: readonly ObjectChange[]): RegistryUpdate {
    const batch: Batch = { marks: new ChangeMarks(this.#stores), problems: [] };
    for (const change of changes) attempt(batch, change.key, () => this.#take(change, batch));
    this.#giveAddresses(batch.marks);
    this.#publish(batch);
    for (const status of this.#waypointPublisher.apply(changes)) this.#statuses.set(status);
    const statuses = this.#statuses.take();
    return { ...this.#table.takeChanges(), statuses, problems: batch.problems };
  }

  /** The pod that has this name now. */
  findPod(namespace: string, name: string): PodPlace | undefined {
    return this.#pods.place(`${namespace}/${name}`);
  }

  /**
   * Whether a pod of this service account runs on the node with an address of its own: what a
   * node's proxy may ask certificates for.
   */
  runsOnNode(node: string, namespace: string, serviceAccount: string): boolean {
    return this.#pods.runsOnNode(node, namespace, serviceAccount);
  }

  #publish(batch: Batch): void {
    const { services, serviceEntries, workloadEntries, slices, pods } = batch.marks;
    for (const key of services) {
      attempt(batch, `Service/${key}`, () => {
        const warnings = this.#publisher.service(key);
        const service = this.#services.get(key);
        if (service !== undefined) this.#statuses.service(service, warnings);
      });
    }
    for (const key of serviceEntries) {
      attempt(batch, `ServiceEntry/${key}`, () => {
        const verdict = this.#entryPublisher.serviceEntry(key);
        const entry = this.#entries.service(key);
        if (entry !== undefined && verdict) this.#statuses.entry(entry, verdict);
      });
    }
    for (const key of workloadEntries) {
      attempt(batch, `WorkloadEntry/${key}`, () => {
        const verdict = this.#entryPublisher.workloadEntry(key);
        const entry = this.#entries.workload(key);
        if (entry !== undefined && verdict) this.#statuses.entry(entry, verdict);
      });
    }
    for (const key of slices) {
      attempt(batch, `EndpointSlice/${key}`, () => this.#publisher.slice(key));
    }
    for (const key of pods) attempt(batch, `Pod/${key}`, () => this.#publisher.pod(key));
  }

  #take(change: ObjectChange, batch: Batch): void {
    const [, namespace = "", name = ""] = change.key.split("/");
    const key = `${namespace}/${name}`;
    switch (change.kind) {
      case "Pod":
        this.#takePod(key, asKind(change, "Pod"), batch);
        break;
      case "Service":
        this.#takeService(key, asKind(change, "Service"), batch);
        break;
      case "EndpointSlice":
        this.#takeSlice(key, asKind(change, "EndpointSlice"), batch);
        break;
      case "ServiceEntry":
        this.#takeServiceEntry(key, asKind(change, "ServiceEntry"), batch);
        break;
      case "WorkloadEntry":
        this.#takeWorkloadEntry(key, asKind(change, "WorkloadEntry"), batch);
        break;
      case "Namespace":
        this.#takeNamespace(name, asKind(change, "Namespace"), batch);
        break;
      case "Node":
        this.#takeNode(name, asKind(change, "Node"), batch);
        break;
      case "AuthorizationPolicy":
      case "PeerAuthentication":
        this.#takePolicy(change.kind, { namespace, name }, change, batch);
        break;
      default:
        break;
    }
  }

  #takePod(key: string, pod: Pod | undefined, { marks }: Batch): void {
    const before = this.#pods.get(key);
    if (pod === undefined) this.#pods.delete(key);
    else this.#pods.set(pod);
    marks.pod(key, before, pod);
  }

  #takeService(key: string, service: KubeService | undefined, { marks }: Batch): void {
    const before = this.#services.get(key);
    if (service === undefined) this.#services.delete(key);
    else this.#services.set(service);
    const claim = serviceClaim(service, this.#options.clusterDomain);
    this.#claim(`Service/${key}`, claim, marks);
    marks.service(key, before, service);
  }

  #takeSlice(key: string, slice: EndpointSlice | undefined, { marks }: Batch): void {
    const before = this.#services.slice(key);
    if (slice === undefined) this.#services.deleteSlice(key);
    else this.#services.setSlice(slice);
    marks.slice(key, before, slice);
  }

  #takeServiceEntry(key: string, entry: ServiceEntry | undefined, { marks }: Batch): void {
    const before = this.#entries.service(key);
    if (entry === undefined) this.#entries.deleteService(key);
    else this.#entries.setService(entry);
    this.#addresses.update(key, entry);
    if (this.#addresses.isComplete(key)) this.#unaddressed.delete(key);
    else this.#unaddressed.add(key);
    this.#claim(`ServiceEntry/${key}`, entryClaim(entry, this.#addresses), marks);
    marks.serviceEntry(key, before, entry);
  }

  #takeWorkloadEntry(key: string, entry: WorkloadEntry | undefined, { marks }: Batch): void {
    const before = this.#entries.workload(key);
    if (entry === undefined) this.#entries.deleteWorkload(key);
    else this.#entries.setWorkload(entry);
    marks.workloadEntry(key, before, entry);
  }

  #takeNamespace(name: string, namespace: Namespace | undefined, { marks }: Batch): void {
    const before = this.#namespaces.get(name);
    if (namespace === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, namespace);
    marks.namespace(name, before, namespace);
  }

  #takeNode(name: string, node: Node | undefined, { marks }: Batch): void {
    const before = this.#nodes.get(name);
    if (node === undefined) this.#nodes.delete(name);
    else this.#nodes.set(name, node);
    marks.node(name, before, node);
  }

  #takePolicy(
    kind: PolicyKind,
    name: { readonly namespace: string; readonly name: string },
    change: ObjectChange,
    { marks }: Batch,
  ): void {
    const policy = asKind(change, kind);
    const { affected, conditions, issues, removed, upserted } =
      policy === undefined ? this.#policies.remove(kind, name) : this.#policies.set(policy);
    this.#publisher.policies(upserted, removed);
    marks.policies(affected);
    this.#statuses.delete(change.key);
    if (policy === undefined) return;
    const { generation } = policy.metadata;
    // An AuthorizationPolicy's issues are in its condition already.
    const told = kind === "PeerAuthentication" ? issues : [];
    const warnings = told.map(({ field, message }) => `spec.${field}: ${message}`);
    this.#statuses.set({ kind, ...name, generation, conditions, warnings });
  }

  /** Replaces a claim, and marks whoever may have won or lost something by it. */
  #claim(key: string, claim: ServiceClaim | undefined, marks: ChangeMarks): void {
    const before = this.#claims.get(key);
    for (const rival of this.#claims.replace(key, claim)) marks.claimant(rival);
    marks.addresses(before?.addresses.keys() ?? []);
    marks.addresses(claim?.addresses.keys() ?? []);
  }

  /**
   * After all changes are in, so that nobody is given what another one claims; the oldest first, so
   * that the outcome does not hang on the order in which they came.
   */
  #giveAddresses(marks: ChangeMarks): void {
    if (this.#unaddressed.size === 0 || marks.serviceEntries.size === 0) return;
    const age = (key: string) => createdMs(this.#entries.service(key));
    const keys = [...this.#unaddressed].sort();
    for (const key of keys.sort((a, b) => (age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : 0))) {
      const left = this.#addresses.complete(
        key,
        (ip) => !this.#claims.isClaimed(ip) && this.#pods.atAddress(ip).size === 0,
      );
      if (left.length === 0) this.#unaddressed.delete(key);
      const entry = this.#entries.service(key);
      this.#claim(`ServiceEntry/${key}`, entryClaim(entry, this.#addresses), marks);
      marks.serviceEntries.add(key);
    }
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
function attempt({ problems }: Batch, object: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    problems.push({ object, message: describeError(error) });
  }
}
