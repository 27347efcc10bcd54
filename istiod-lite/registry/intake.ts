/** Takes objects into the registry's stores, and marks what has to be derived again for them. */
import type {
  EndpointSlice,
  Gateway,
  GatewayClass,
  KubernetesObject,
  KubeService,
  Namespace,
  Node,
  ObjectChange,
  Pod,
  ServiceEntry,
  WorkloadEntry,
} from "#common/kubernetes/objects.ts";
import type { ChangeMarks } from "./change-marks.ts";
import { entryClaim, serviceClaim } from "./claim-of.ts";
import { createdMs } from "./pod-facts.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { ServiceClaim } from "./service-claims.ts";
import type { WritableStores } from "./stores.ts";

export class Intake {
  readonly #options: RegistryOptions;
  readonly #stores: WritableStores;
  /** ServiceEntries with a host that still has no address, though it should. */
  readonly #unaddressed = new Set<string>();

  constructor(options: RegistryOptions, stores: WritableStores) {
    this.#options = options;
    this.#stores = stores;
  }

  /** Policies are no business of this one's. */
  take(change: ObjectChange, marks: ChangeMarks): void {
    const [, namespace = "", name = ""] = change.key.split("/");
    const key = `${namespace}/${name}`;
    switch (change.kind) {
      case "Pod":
        this.#pod(key, asKind(change, "Pod"), marks);
        break;
      case "Service":
        this.#service(key, asKind(change, "Service"), marks);
        break;
      case "EndpointSlice":
        this.#slice(key, asKind(change, "EndpointSlice"), marks);
        break;
      case "ServiceEntry":
        this.#serviceEntry(key, asKind(change, "ServiceEntry"), marks);
        break;
      case "WorkloadEntry":
        this.#workloadEntry(key, asKind(change, "WorkloadEntry"), marks);
        break;
      case "Namespace":
        this.#namespace(name, asKind(change, "Namespace"), marks);
        break;
      case "Node":
        this.#node(name, asKind(change, "Node"), marks);
        break;
      case "Gateway":
        this.#gateway(key, asKind(change, "Gateway"));
        break;
      case "GatewayClass":
        this.#gatewayClass(name, asKind(change, "GatewayClass"));
        break;
      default:
        break;
    }
  }

  /**
   * After all changes are in, so that nobody is given what another one claims; the oldest first, so
   * that the outcome does not hang on the order in which they came.
   */
  giveAddresses(marks: ChangeMarks): void {
    if (this.#unaddressed.size === 0 || marks.serviceEntries.size === 0) return;
    const { addresses, claims, entries, pods } = this.#stores;
    const age = (key: string) => createdMs(entries.service(key));
    const keys = [...this.#unaddressed].sort();
    for (const key of keys.sort((a, b) => (age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : 0))) {
      const isFree = (ip: Parameters<typeof claims.isClaimed>[0]) =>
        !claims.isClaimed(ip) && pods.atAddress(ip).size === 0;
      if (addresses.complete(key, isFree).length === 0) this.#unaddressed.delete(key);
      this.#claim(`ServiceEntry/${key}`, entryClaim(entries.service(key), addresses), marks);
      marks.serviceEntries.add(key);
    }
  }

  #pod(key: string, pod: Pod | undefined, marks: ChangeMarks): void {
    const { gateways, pods } = this.#stores;
    const before = pods.get(key);
    if (pod === undefined) pods.delete(key);
    else pods.set(pod);
    gateways.podChanged(before?.metadata, pod?.metadata);
    marks.pod(key, before, pod);
  }

  #service(key: string, service: KubeService | undefined, marks: ChangeMarks): void {
    const { gateways, services } = this.#stores;
    const before = services.get(key);
    if (service === undefined) services.delete(key);
    else services.set(service);
    const claim = serviceClaim(service, this.#options.clusterDomain);
    this.#claim(`Service/${key}`, claim, marks);
    gateways.serviceChanged(key);
    marks.service(key, before, service);
  }

  #slice(key: string, slice: EndpointSlice | undefined, marks: ChangeMarks): void {
    const { services } = this.#stores;
    const before = services.slice(key);
    if (slice === undefined) services.deleteSlice(key);
    else services.setSlice(slice);
    marks.slice(key, before, slice);
  }

  #serviceEntry(key: string, entry: ServiceEntry | undefined, marks: ChangeMarks): void {
    const { addresses, entries } = this.#stores;
    const before = entries.service(key);
    if (entry === undefined) entries.deleteService(key);
    else entries.setService(entry);
    addresses.update(key, entry);
    if (addresses.isComplete(key)) this.#unaddressed.delete(key);
    else this.#unaddressed.add(key);
    this.#claim(`ServiceEntry/${key}`, entryClaim(entry, addresses), marks);
    marks.serviceEntry(key, before, entry);
  }

  #workloadEntry(key: string, entry: WorkloadEntry | undefined, marks: ChangeMarks): void {
    const { entries } = this.#stores;
    const before = entries.workload(key);
    if (entry === undefined) entries.deleteWorkload(key);
    else entries.setWorkload(entry);
    marks.workloadEntry(key, before, entry);
  }

  #namespace(name: string, namespace: Namespace | undefined, marks: ChangeMarks): void {
    const { namespaces } = this.#stores;
    const before = namespaces.get(name);
    if (namespace === undefined) namespaces.delete(name);
    else namespaces.set(name, namespace);
    marks.namespace(name, before, namespace);
  }

  #node(name: string, node: Node | undefined, marks: ChangeMarks): void {
    const { nodes } = this.#stores;
    const before = nodes.get(name);
    if (node === undefined) nodes.delete(name);
    else nodes.set(name, node);
    marks.node(name, before, node);
  }

  #gateway(key: string, gateway: Gateway | undefined): void {
    this.#stores.gateways.set(key, gateway);
  }

  #gatewayClass(name: string, gatewayClass: GatewayClass | undefined): void {
    this.#stores.gateways.setClass(name, gatewayClass);
  }

  /** Replaces a claim, and marks whoever may have won or lost something by it. */
  #claim(key: string, claim: ServiceClaim | undefined, marks: ChangeMarks): void {
    const { claims } = this.#stores;
    const before = claims.get(key);
    for (const rival of claims.replace(key, claim)) marks.claimant(rival);
    marks.addresses(before?.addresses.keys() ?? []);
    marks.addresses(claim?.addresses.keys() ?? []);
  }
}

/** The object of a change, checked to be what the change says. */
export function asKind<Kind extends KubernetesObject["kind"]>(
  change: ObjectChange,
  kind: Kind,
): Extract<KubernetesObject, { kind: Kind }> | undefined {
  const { object } = change;
  if (object === undefined || object.kind !== kind) return undefined;
  return object as Extract<KubernetesObject, { kind: Kind }>;
}
