/** The ServiceEntries and WorkloadEntries of the cluster, with their indexes. */
import type { ServiceEntry, WorkloadEntry } from "#common/kubernetes/objects.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { LabelIndex, type Labels, selectorMatches } from "./label-index.ts";
import { addToSet, deleteFromSet } from "./multi-map.ts";
import { createdMs, namespacedName } from "./pod-facts.ts";

const NONE: ReadonlySet<string> = new Set();

export type EntryKind = "ServiceEntry" | "WorkloadEntry";

/** Entries are known by `<namespace>/<name>`; where both kinds meet, the kind comes first. */
export class EntryStore {
  readonly #services = new Map<string, ServiceEntry>();
  readonly #workloads = new Map<string, WorkloadEntry>();
  readonly #byNamespace: Readonly<Record<EntryKind, Map<string, Set<string>>>> = {
    ServiceEntry: new Map(),
    WorkloadEntry: new Map(),
  };
  readonly #byAddress = new Map<IpAddress, Set<string>>();
  /** Selectors of ServiceEntries, labels of WorkloadEntries. */
  readonly #labels = new LabelIndex();

  service(key: string): ServiceEntry | undefined {
    return this.#services.get(key);
  }

  workload(key: string): WorkloadEntry | undefined {
    return this.#workloads.get(key);
  }

  keys(kind: EntryKind): Iterable<string> {
    return kind === "ServiceEntry" ? this.#services.keys() : this.#workloads.keys();
  }

  /** Those with an entry of the kind. */
  namespaces(kind: EntryKind): Iterable<string> {
    return this.#byNamespace[kind].keys();
  }

  inNamespace(kind: EntryKind, namespace: string): ReadonlySet<string> {
    return this.#byNamespace[kind].get(namespace) ?? NONE;
  }

  /** `<kind>/<namespace>/<name>` of every entry with an endpoint at the address. */
  atAddress(ip: IpAddress): ReadonlySet<string> {
    return this.#byAddress.get(ip) ?? NONE;
  }

  /**
   * The entry whose workload is found by the address, where several name it: a WorkloadEntry before
   * a ServiceEntry, then the oldest. The others are reached through their services only.
   */
  owner(ip: IpAddress): string | undefined {
    let best: string | undefined;
    for (const key of this.atAddress(ip)) {
      if (best === undefined || this.#isBefore(key, best)) best = key;
    }
    return best;
  }

  /** The ServiceEntries of one namespace whose selector selects these labels. */
  selecting(namespace: string, labels: Labels): readonly ServiceEntry[] {
    return [...this.#labels.candidateSelectors(namespace, labels)].sort().flatMap((key) => {
      const entry = this.#services.get(key);
      const selector = entrySelector(entry);
      if (entry === undefined || selector === undefined) return [];
      return selectorMatches(selector, labels) ? [entry] : [];
    });
  }

  /** The WorkloadEntries of one namespace that a selector selects; an empty one selects none. */
  selected(namespace: string, selector: Labels): readonly string[] {
    return [...this.#labels.candidatePods(namespace, selector)].filter((key) => {
      const entry = this.#workloads.get(key);
      return entry !== undefined && selectorMatches(selector, entryLabels(entry));
    });
  }

  setService(entry: ServiceEntry): void {
    const key = namespacedName(entry);
    this.deleteService(key);
    this.#services.set(key, entry);
    const { namespace = "default" } = entry.metadata;
    addToSet(this.#byNamespace.ServiceEntry, namespace, key);
    for (const ip of endpointIps(entry)) addToSet(this.#byAddress, ip, `ServiceEntry/${key}`);
    const selector = entrySelector(entry);
    if (selector !== undefined) this.#labels.addSelector(namespace, key, selector);
  }

  deleteService(key: string): void {
    const entry = this.#services.get(key);
    if (entry === undefined) return;
    this.#services.delete(key);
    const { namespace = "default" } = entry.metadata;
    deleteFromSet(this.#byNamespace.ServiceEntry, namespace, key);
    for (const ip of endpointIps(entry)) deleteFromSet(this.#byAddress, ip, `ServiceEntry/${key}`);
    const selector = entrySelector(entry);
    if (selector !== undefined) this.#labels.removeSelector(namespace, key, selector);
  }

  setWorkload(entry: WorkloadEntry): void {
    const key = namespacedName(entry);
    this.deleteWorkload(key);
    this.#workloads.set(key, entry);
    const { namespace = "default" } = entry.metadata;
    addToSet(this.#byNamespace.WorkloadEntry, namespace, key);
    for (const ip of workloadEntryIps(entry)) addToSet(this.#byAddress, ip, `WorkloadEntry/${key}`);
    this.#labels.addPod(namespace, key, entryLabels(entry));
  }

  deleteWorkload(key: string): void {
    const entry = this.#workloads.get(key);
    if (entry === undefined) return;
    this.#workloads.delete(key);
    const { namespace = "default" } = entry.metadata;
    deleteFromSet(this.#byNamespace.WorkloadEntry, namespace, key);
    for (const ip of workloadEntryIps(entry)) {
      deleteFromSet(this.#byAddress, ip, `WorkloadEntry/${key}`);
    }
    this.#labels.removePod(namespace, key, entryLabels(entry));
  }

  #isBefore(a: string, b: string): boolean {
    const isWorkload = (key: string) => key.startsWith("WorkloadEntry/");
    if (isWorkload(a) !== isWorkload(b)) return isWorkload(a);
    const age = this.#createdMs(a) - this.#createdMs(b);
    // Two of unknown age: Infinity minus Infinity is no number.
    return age < 0 || (!(age > 0) && a < b);
  }

  #createdMs(kindAndKey: string): number {
    const slash = kindAndKey.indexOf("/");
    const key = kindAndKey.slice(slash + 1);
    const isWorkload = kindAndKey.startsWith("WorkloadEntry/");
    return createdMs(isWorkload ? this.#workloads.get(key) : this.#services.get(key));
  }
}

/** The selector, unless there is none or it would select everything. */
export function entrySelector(entry: ServiceEntry | undefined): Labels | undefined {
  const labels = entry?.spec.workloadSelector?.labels ?? {};
  return Object.keys(labels).length === 0 ? undefined : labels;
}

/** Labels may stand in two places; those of the metadata win, as in istiod. */
export function entryLabels(entry: WorkloadEntry): Labels {
  return { ...entry.spec.labels, ...entry.metadata.labels };
}

/** The addresses of the endpoints that the entry itself lists, each once. */
export function endpointIps(entry: ServiceEntry | undefined): readonly IpAddress[] {
  const texts = entry?.spec.endpoints?.map(({ address = "" }) => address) ?? [];
  return [...new Set(texts.flatMap((text) => parseIp(text) ?? []))];
}

export function workloadEntryIps(entry: WorkloadEntry | undefined): readonly IpAddress[] {
  const ip = parseIp(entry?.spec.address ?? "");
  return ip === undefined ? [] : [ip];
}
