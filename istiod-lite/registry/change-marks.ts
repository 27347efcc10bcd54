/**
 * What has to be derived again after a change: the objects that changed, and those that depend on
 * them. One instance serves one batch of changes; the stores hold the new objects by the time that
 * the marks are read.
 */
import type {
  EndpointSlice,
  KubeService,
  Namespace,
  Node,
  Pod,
  ServiceEntry,
  WorkloadEntry,
} from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { DATAPLANE_MODE_LABEL } from "./enrolment.ts";
import { endpointIps, entrySelector, workloadEntryIps } from "./entry-store.ts";
import { TRAFFIC_DISTRIBUTION_ANNOTATION } from "./load-balancing.ts";
import { ownAddresses } from "./pod-store.ts";
import { localityOf } from "./pod-workload.ts";
import { selectorOf } from "./service-store.ts";
import { sliceEndpoints } from "./slice-workloads.ts";
import type { Stores } from "./stores.ts";
import { CANARY_WEIGHT, OUR_ENFORCE, OUR_UNAVAILABLE } from "./waypoints/names.ts";

/** All sets hold `<namespace>/<name>`. */
export class ChangeMarks {
  readonly pods = new Set<string>();
  readonly services = new Set<string>();
  readonly slices = new Set<string>();
  readonly serviceEntries = new Set<string>();
  readonly workloadEntries = new Set<string>();
  readonly #stores: Omit<Stores, "policies">;
  /** ServiceEntries whose dependents are marked because of a claim. */
  readonly #contested = new Set<string>();

  constructor(stores: Omit<Stores, "policies">) {
    this.#stores = stores;
  }

  pod(key: string, before: Pod | undefined, after: Pod | undefined): void {
    const { services, claims } = this.#stores;
    this.pods.add(key);
    // An address that becomes a pod's, or stops being one, changes what others make of it.
    for (const ip of [...ownAddresses(before), ...ownAddresses(after)]) {
      for (const slice of services.slicesAt(ip)) this.slices.add(slice);
      this.#entriesAt(ip);
      for (const claimant of claims.claimants(ip)) this.claimant(claimant);
    }
  }

  service(key: string, before: KubeService | undefined, after: KubeService | undefined): void {
    const { services, pods, entries } = this.#stores;
    this.services.add(key);
    const namespace = key.slice(0, key.indexOf("/"));
    for (const selector of [selectorOf(before), selectorOf(after)]) {
      if (selector === undefined) continue;
      for (const pod of pods.selected(namespace, selector)) this.pods.add(pod);
      for (const entry of entries.selected(namespace, selector)) this.workloadEntries.add(entry);
    }
    for (const slice of services.slicesOf(key)) this.#slicePods(slice, services.slice(slice));
  }

  slice(key: string, before: EndpointSlice | undefined, after: EndpointSlice | undefined): void {
    this.slices.add(key);
    for (const each of [before, after]) {
      if (each !== undefined && this.#stores.services.serviceOfSlice(each) !== undefined) {
        this.#slicePods(key, each);
      }
    }
  }

  serviceEntry(
    key: string,
    before: ServiceEntry | undefined,
    after: ServiceEntry | undefined,
  ): void {
    const { pods, entries } = this.#stores;
    this.serviceEntries.add(key);
    const namespace = key.slice(0, key.indexOf("/"));
    for (const entry of [before, after]) {
      const selector = entrySelector(entry);
      if (selector !== undefined) {
        for (const pod of pods.selected(namespace, selector)) this.pods.add(pod);
        for (const each of entries.selected(namespace, selector)) this.workloadEntries.add(each);
      }
      for (const ip of endpointIps(entry)) {
        for (const pod of pods.atAddress(ip)) this.pods.add(pod);
        this.#entriesAt(ip);
      }
    }
  }

  workloadEntry(
    key: string,
    before: WorkloadEntry | undefined,
    after: WorkloadEntry | undefined,
  ): void {
    this.workloadEntries.add(key);
    for (const ip of [...workloadEntryIps(before), ...workloadEntryIps(after)]) {
      this.#entriesAt(ip);
    }
  }

  /** An object (`<kind>/<namespace>/<name>`) may have won or lost a host or an address. */
  claimant(kindAndKey: string): void {
    const slash = kindAndKey.indexOf("/");
    const key = kindAndKey.slice(slash + 1);
    if (kindAndKey.startsWith("Service/")) {
      this.services.add(key);
      return;
    }
    if (this.#contested.has(key)) return;
    this.#contested.add(key);
    this.serviceEntry(key, undefined, this.#stores.entries.service(key));
  }

  /** Addresses came to be a service's, or ceased to be one's. */
  addresses(ips: Iterable<IpAddress>): void {
    for (const ip of ips) this.#entriesAt(ip);
  }

  /**
   * A waypoint is not what it was: nor is the way of everybody whose labels name it, and of its own
   * pods, should it be none any more.
   */
  waypoint(waypoint: string): void {
    for (const pod of this.#stores.gateways.podsOf(waypoint)) this.pods.add(pod);
    for (const kindAndKey of this.#stores.bindings.naming(waypoint)) {
      const slash = kindAndKey.indexOf("/");
      const key = kindAndKey.slice(slash + 1);
      if (kindAndKey.startsWith("Service/")) this.services.add(key);
      else if (kindAndKey.startsWith("ServiceEntry/")) this.serviceEntries.add(key);
      else if (kindAndKey.startsWith("WorkloadEntry/")) this.workloadEntries.add(key);
      else this.pods.add(key);
    }
  }

  namespace(name: string, before: Namespace | undefined, after: Namespace | undefined): void {
    const { pods, services, entries } = this.#stores;
    if (saysOfWaypoints(before) !== saysOfWaypoints(after)) this.#everythingIn(name);
    const label = (object?: Namespace) => object?.metadata.labels?.[DATAPLANE_MODE_LABEL];
    if (label(before) !== label(after)) {
      for (const pod of pods.inNamespace(name)) this.pods.add(pod);
    }
    const distribution = (object?: Namespace) =>
      object?.metadata.annotations?.[TRAFFIC_DISTRIBUTION_ANNOTATION];
    if (distribution(before) === distribution(after)) return;
    for (const service of services.inNamespace(name)) this.services.add(service);
    for (const entry of entries.inNamespace("ServiceEntry", name)) this.serviceEntries.add(entry);
  }

  #everythingIn(namespace: string): void {
    const { pods, services, entries } = this.#stores;
    for (const pod of pods.inNamespace(namespace)) this.pods.add(pod);
    for (const service of services.inNamespace(namespace)) this.services.add(service);
    for (const key of entries.inNamespace("ServiceEntry", namespace)) this.serviceEntries.add(key);
    for (const key of entries.inNamespace("WorkloadEntry", namespace)) {
      this.workloadEntries.add(key);
    }
  }

  node(name: string, before: Node | undefined, after: Node | undefined): void {
    const old = localityOf(before);
    const now = localityOf(after);
    const moved = old.region !== now.region || old.zone !== now.zone || old.subzone !== now.subzone;
    if (!moved) return;
    for (const pod of this.#stores.pods.onNode(name)) this.pods.add(pod);
  }

  /** Other policies apply to these workloads: those of one namespace, or all there are. */
  policies(affected: "all" | "none" | { readonly namespace: string }): void {
    if (affected === "none") return;
    const { pods, entries } = this.#stores;
    const within = affected === "all" ? undefined : affected.namespace;
    const keysOf = (kind: "ServiceEntry" | "WorkloadEntry") =>
      within === undefined ? entries.keys(kind) : entries.inNamespace(kind, within);
    for (const pod of within === undefined ? pods.keys() : pods.inNamespace(within)) {
      this.pods.add(pod);
    }
    for (const entry of keysOf("ServiceEntry")) this.serviceEntries.add(entry);
    for (const entry of keysOf("WorkloadEntry")) this.workloadEntries.add(entry);
  }

  /** Marks the slice and the pods whose addresses it lists. */
  #slicePods(key: string, slice: EndpointSlice | undefined): void {
    this.slices.add(key);
    for (const { ip } of slice === undefined ? [] : sliceEndpoints(slice)) {
      for (const pod of this.#stores.pods.atAddress(ip)) this.pods.add(pod);
    }
  }

  /** Entries with an endpoint at the address share it, with each other and with whoever came. */
  #entriesAt(ip: IpAddress): void {
    for (const kindAndKey of this.#stores.entries.atAddress(ip)) {
      const key = kindAndKey.slice(kindAndKey.indexOf("/") + 1);
      if (kindAndKey.startsWith("WorkloadEntry/")) this.workloadEntries.add(key);
      else this.serviceEntries.add(key);
    }
  }
}

/**
 * All of a namespace that bindings look at. Every label: any may be what a waypoint selects
 * namespaces by, and they change rarely.
 */
function saysOfWaypoints(namespace: Namespace | undefined): string {
  const { labels = {}, annotations = {} } = namespace?.metadata ?? {};
  const settings = [OUR_ENFORCE, OUR_UNAVAILABLE, CANARY_WEIGHT].map((key) => annotations[key]);
  return JSON.stringify([Object.entries(labels).sort(), settings]);
}
