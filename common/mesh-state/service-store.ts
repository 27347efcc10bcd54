/**
 * Services by name, by address and by hostname, and their endpoints: the workloads that list them,
 * known even before the service itself is (the control plane promises no order).
 */
import { networkAddressKey, serviceKey } from "#common/model/address.ts";
import type { Cidr, IpAddress } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { CidrTable } from "./cidr-table.ts";

/** The endpoints of one service. `revision` grows with every change of them. */
export interface EndpointSet {
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly revision: number;
}

interface MutableEndpointSet extends EndpointSet {
  readonly workloads: Map<string, Workload>;
  revision: number;
}

/** Who asks: a service of the client's own namespace comes first, one that it may not see never. */
export interface ServiceClient {
  readonly namespace: string | undefined;
  /** PREFERED_SERVICE_NAMESPACE: comes second. */
  readonly preferredNamespace: string | undefined;
}

const NO_ENDPOINTS: EndpointSet = { workloads: new Map(), revision: 0 };

export class ServiceStore {
  readonly #byKey = new Map<string, Service>();
  readonly #byAddress = new Map<string, Service[]>();
  readonly #byHostname = new Map<string, Service[]>();
  readonly #blocks = new Map<string, CidrTable<Service>>();
  readonly #endpoints = new Map<string, MutableEndpointSet>();
  #revision = 0;

  get size(): number {
    return this.#byKey.size;
  }

  values(): IterableIterator<Service> {
    return this.#byKey.values();
  }

  get(key: string): Service | undefined {
    return this.#byKey.get(key);
  }

  endpoints(key: string): EndpointSet {
    return this.#endpoints.get(key) ?? NO_ENDPOINTS;
  }

  findByVip(network: string, ip: IpAddress, client: ServiceClient): Service | undefined {
    const services = this.#byAddress.get(networkAddressKey({ network, ip }));
    return services && best(services, client);
  }

  /**
   * By block: one of the client's namespace first, even where its block is wider, then the longest
   * prefix. Source: istio/ztunnel src/state/service.rs, get_best_by_cidr_vip.
   */
  findByBlock(network: string, ip: IpAddress, client: ServiceClient): Service | undefined {
    let longest: Service | undefined;
    for (const services of this.#blocks.get(network)?.find(ip) ?? []) {
      const found = best(services, client);
      if (found !== undefined && found.namespace === client.namespace) return found;
      longest ??= found;
    }
    return longest;
  }

  /** Without regard to case; `accept` leaves out what the client cannot mean. */
  findByHostname(
    hostname: string,
    client: ServiceClient,
    accept?: (service: Service) => boolean,
  ): Service | undefined {
    const services = this.#byHostname.get(hostname.toLowerCase());
    if (services === undefined) return undefined;
    return best(accept === undefined ? services : services.filter(accept), client);
  }

  /** Puts the service in place of the one with the same namespace and hostname. */
  put(service: Service): void {
    const key = serviceKey(service);
    const previous = this.#byKey.get(key);
    if (previous !== undefined) this.#unindex(previous);
    this.#byKey.set(key, service);
    this.#index(service);
  }

  remove(key: string): Service | undefined {
    const previous = this.#byKey.get(key);
    if (previous === undefined) return undefined;
    this.#byKey.delete(key);
    this.#unindex(previous);
    return previous;
  }

  /** Moves a workload from the services of its previous record to those of its new one. */
  moveEndpoint(previous: Workload | undefined, workload: Workload | undefined): void {
    for (const key of previous?.services.keys() ?? []) {
      if (previous === undefined || workload?.services.has(key)) continue;
      const set = this.#endpoints.get(key);
      if (set?.workloads.delete(previous.uid)) this.#touch(key);
      if (set?.workloads.size === 0) this.#endpoints.delete(key);
    }
    for (const key of workload?.services.keys() ?? []) {
      if (workload === undefined) continue;
      let set = this.#endpoints.get(key);
      if (set === undefined) {
        set = { workloads: new Map(), revision: 0 };
        this.#endpoints.set(key, set);
      }
      set.workloads.set(workload.uid, workload);
      this.#touch(key);
    }
  }

  /** Revisions are never used twice, so that nothing cached under one can be taken for another. */
  #touch(key: string): void {
    const set = this.#endpoints.get(key);
    if (set !== undefined) set.revision = ++this.#revision;
  }

  #index(service: Service): void {
    append(this.#byHostname, service.hostname.toLowerCase(), service);
    for (const { network, ip, cidr } of service.addresses) {
      if (cidr === undefined) append(this.#byAddress, networkAddressKey({ network, ip }), service);
      else this.#table(network).add(cidr, service);
    }
  }

  #unindex(service: Service): void {
    drop(this.#byHostname, service.hostname.toLowerCase(), service);
    for (const { network, ip, cidr } of service.addresses) {
      if (cidr === undefined) drop(this.#byAddress, networkAddressKey({ network, ip }), service);
      else this.#dropBlock(network, cidr, service);
    }
  }

  #dropBlock(network: string, cidr: Cidr, service: Service): void {
    const table = this.#blocks.get(network);
    table?.remove(cidr, service);
    if (table?.isEmpty) this.#blocks.delete(network);
  }

  #table(network: string): CidrTable<Service> {
    let table = this.#blocks.get(network);
    if (table === undefined) {
      table = new CidrTable();
      this.#blocks.set(network, table);
    }
    return table;
  }
}

/**
 * The service that the client means (ambient.md F34, F35): never one that it may not see; its own
 * namespace's, the preferred namespace's, the canonical one; the first by name among equals.
 */
function best(services: readonly Service[], client: ServiceClient): Service | undefined {
  let found: Service | undefined;
  for (const service of services) {
    if (!visibleTo(service, client)) continue;
    if (found === undefined || comesBefore(service, found, client)) found = service;
  }
  return found;
}

/** Look-ups without a client (gateways, which the control plane names itself) see everything. */
function visibleTo(service: Service, { namespace }: ServiceClient): boolean {
  if (service.visibility === "public" || namespace === undefined) return true;
  return service.namespace === namespace;
}

function comesBefore(a: Service, b: Service, client: ServiceClient): boolean {
  const difference = serviceRank(a, client) - serviceRank(b, client);
  return difference === 0 ? serviceKey(a) < serviceKey(b) : difference > 0;
}

function serviceRank(service: Service, client: ServiceClient): number {
  if (service.namespace === client.namespace) return service.canonical ? 5 : 4;
  if (service.namespace === client.preferredNamespace) return service.canonical ? 3 : 2;
  return service.canonical ? 1 : 0;
}

function append(index: Map<string, Service[]>, key: string, service: Service): void {
  const services = index.get(key);
  if (services === undefined) index.set(key, [service]);
  else if (!services.includes(service)) services.push(service);
}

function drop(index: Map<string, Service[]>, key: string, service: Service): void {
  const services = index.get(key);
  const place = services?.indexOf(service) ?? -1;
  if (services === undefined || place < 0) return;
  if (services.length === 1) index.delete(key);
  else services.splice(place, 1);
}
