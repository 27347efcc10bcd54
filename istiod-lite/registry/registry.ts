/**
 * The registry: from Kubernetes objects to what the proxies are told, incrementally. Pure: no
 * clock, no sockets. A change marks what depends on it, and only that is derived again; whatever
 * comes out with the same bytes as before is not a change.
 */
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import { describeError } from "#common/runtime/errors.ts";
import { ChangeMarks } from "./change-marks.ts";
import { createContributors } from "./create-contributors.ts";
import { EntryPublisher } from "./entry-publisher.ts";
import { asKind, Intake } from "./intake.ts";
import { OutboundTraffic } from "./outbound-traffic.ts";
import type { PodPlace } from "./pod-store.ts";
import type { PolicyKind } from "./policies/index.ts";
import { Publications } from "./publications.ts";
import { Publisher } from "./publisher.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { RegistryProblem, RegistryUpdate } from "./registry-update.ts";
import { ResourceTable, type ResourceView } from "./resource-table.ts";
import { StatusBook } from "./status-book.ts";
import { createStores, type WritableStores } from "./stores.ts";
import { EnforcementPolicies } from "./waypoints/enforcement.ts";
import { WaypointPublisher } from "./waypoints/waypoint-publisher.ts";

/** What one batch of changes has brought so far. */
interface Batch {
  readonly changes: readonly ObjectChange[];
  readonly marks: ChangeMarks;
  readonly problems: RegistryProblem[];
}

export class Registry {
  readonly #stores: WritableStores;
  readonly #intake: Intake;
  readonly #table = new ResourceTable();
  readonly #publisher: Publisher;
  readonly #entryPublisher: EntryPublisher;
  readonly #enforcement: EnforcementPolicies;
  readonly #waypointPublisher: WaypointPublisher;
  readonly #outboundTraffic: OutboundTraffic;
  readonly #statuses = new StatusBook();

  constructor(options: RegistryOptions) {
    this.#stores = createStores(options);
    this.#intake = new Intake(options, this.#stores);
    const publications = new Publications(this.#table);
    const contributors = createContributors(options);
    const deps = { stores: this.#stores, table: this.#table, publications };
    this.#enforcement = new EnforcementPolicies(options, deps);
    this.#publisher = new Publisher(options, { ...deps, enforcement: this.#enforcement });
    this.#entryPublisher = new EntryPublisher(options, this.#stores, publications);
    this.#waypointPublisher = new WaypointPublisher(options, deps, contributors);
    this.#outboundTraffic = new OutboundTraffic(options, publications, contributors.policies);
  }

  /** Everything that is published. Its answers change with the next `apply`. */
  get resources(): ResourceView {
    return this.#table;
  }

  /** How many objects have a waypoint that is not there, by what becomes of their traffic. */
  get waypointsUnavailable(): Readonly<Record<"fail-open" | "fail-closed", number>> {
    return this.#stores.bindings.unavailable;
  }

  /** Takes the changes in; of several changes of one object the last one counts. */
  apply(changes: readonly ObjectChange[]): RegistryUpdate {
    const batch: Batch = { changes, marks: new ChangeMarks(this.#stores), problems: [] };
    for (const change of changes) attempt(batch, change.key, () => this.#take(change, batch));
    this.#intake.giveAddresses(batch.marks);
    const waypoints = this.#stores.gateways.settle();
    for (const waypoint of waypoints) batch.marks.waypoint(waypoint);
    for (const service of this.#stores.gateways.takeServices()) batch.marks.services.add(service);
    this.#publish(batch);
    this.#enforcement.settle(waypoints);
    const { statuses: said, owned } = this.#waypointPublisher.apply(batch, waypoints);
    this.#outboundTraffic.follow();
    for (const status of said) this.#statuses.set(status);
    const statuses = this.#statuses.take();
    return { ...this.#table.takeChanges(), statuses, owned, problems: batch.problems };
  }

  /** The pod that has this name now. */
  findPod(namespace: string, name: string): PodPlace | undefined {
    return this.#stores.pods.place(`${namespace}/${name}`);
  }

  /**
   * Whether a pod that its node makes a sandbox for is to be captured; undefined while it is not
   * known.
   */
  captureVerdict(pod: SandboxedPod): CaptureVerdict | undefined {
    return this.#publisher.captureVerdict(pod);
  }

  /**
   * Whether a pod of this service account runs on the node, or is about to, in a network of its
   * own: what a node's proxy may ask certificates for.
   */
  runsOnNode(node: string, namespace: string, serviceAccount: string): boolean {
    return this.#stores.pods.runsOnNode(node, namespace, serviceAccount);
  }

  #publish(batch: Batch): void {
    const { services, serviceEntries, workloadEntries, slices, pods } = batch.marks;
    for (const key of services) attempt(batch, `Service/${key}`, () => this.#service(key, batch));
    for (const key of serviceEntries) {
      attempt(batch, `ServiceEntry/${key}`, () => this.#serviceEntry(key, batch));
    }
    for (const key of workloadEntries) {
      attempt(batch, `WorkloadEntry/${key}`, () => {
        const verdict = this.#entryPublisher.workloadEntry(key);
        const entry = this.#stores.entries.workload(key);
        if (entry !== undefined && verdict) this.#statuses.entry(entry, verdict);
      });
    }
    for (const key of slices) {
      attempt(batch, `EndpointSlice/${key}`, () => this.#publisher.slice(key));
    }
    for (const key of pods) attempt(batch, `Pod/${key}`, () => this.#publisher.pod(key));
  }

  #service(key: string, { marks }: Batch): void {
    const { bindings, services } = this.#stores;
    const before = bindings.of(`Service/${key}`);
    const warnings = this.#publisher.service(key);
    const service = services.get(key);
    const binding = bindings.of(`Service/${key}`);
    if (service !== undefined) this.#statuses.service(service, warnings, binding);
    // What its workloads refuse has changed with it.
    if (before.enforced || binding.enforced) marks.service(key, service, service);
  }

  #serviceEntry(key: string, { marks }: Batch): void {
    const { bindings, entries } = this.#stores;
    const before = bindings.of(`ServiceEntry/${key}`);
    const verdict = this.#entryPublisher.serviceEntry(key);
    const entry = entries.service(key);
    if (entry !== undefined && verdict) this.#statuses.entry(entry, verdict);
    const enforced = before.enforced || bindings.of(`ServiceEntry/${key}`).enforced;
    if (enforced) marks.serviceEntry(key, entry, entry);
  }

  #take(change: ObjectChange, { marks }: Batch): void {
    const { kind } = change;
    if (kind !== "AuthorizationPolicy" && kind !== "PeerAuthentication") {
      this.#intake.take(change, marks);
      return;
    }
    const [, namespace = "", name = ""] = change.key.split("/");
    this.#takePolicy(kind, { namespace, name }, change, marks);
  }

  #takePolicy(
    kind: PolicyKind,
    name: { readonly namespace: string; readonly name: string },
    change: ObjectChange,
    marks: ChangeMarks,
  ): void {
    const { policies } = this.#stores;
    const policy = asKind(change, kind);
    const { affected, conditions, issues, removed, upserted } =
      policy === undefined ? policies.remove(kind, name) : policies.set(policy);
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
