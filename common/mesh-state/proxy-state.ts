/**
 * What this proxy knows of the mesh: workloads, services and policies, kept up to date change by
 * change. The cost of an update follows its size, never the size of the mesh. One lives in each
 * data worker, one in the control thread for `/config_dump`; all apply the same updates in the same
 * order and so agree.
 */
import { type GatewayAddress, serviceKey } from "#common/model/address.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { PolicyStore, type WorkloadPolicies } from "./policy-store.ts";
import { type EndpointSet, ServiceStore } from "./service-store.ts";
import type { AppliedChange, StateUpdate } from "./state-update.ts";
import { WorkloadStore } from "./workload-store.ts";

export type { WorkloadPolicies } from "./policy-store.ts";
export type { EndpointSet } from "./service-store.ts";
export type { AppliedChange, PolicyChange, StateUpdate } from "./state-update.ts";

export interface ProxyStateOptions {
  /** This proxy's own network; "" is the default network. */
  readonly network: string;
  /** PREFERED_SERVICE_NAMESPACE: whose services come after those of the client's own namespace. */
  readonly preferredServiceNamespace?: string;
  /** Whose policies may cover the whole mesh. @default "istio-system" */
  readonly rootNamespace?: string;
}

export type FoundAddress =
  | { readonly kind: "service"; readonly service: Service }
  | { readonly kind: "workload"; readonly workload: Workload };

export interface AddressQuery {
  /** @default the proxy's own network */
  readonly network?: string;
  readonly ip: IpAddress;
  /** Whose view of services counts; without it all are visible. */
  readonly clientNamespace?: string;
}

export type ChangeListener = (change: AppliedChange) => void;

export class ProxyState {
  readonly #options: ProxyStateOptions;
  readonly #workloads = new WorkloadStore();
  readonly #services = new ServiceStore();
  readonly #policies: PolicyStore;
  readonly #listeners = new Set<ChangeListener>();

  constructor(options: ProxyStateOptions) {
    this.#options = options;
    this.#policies = new PolicyStore(options.rootNamespace ?? "istio-system");
  }

  /** Applies removals, then what is new or different; a name in both is replaced. */
  apply(update: StateUpdate): AppliedChange {
    const change = new ChangeBuilder();
    for (const key of update.removedPolicies) change.policy(this.#policies.remove(key));
    for (const policy of update.policies) {
      change.policy(this.#policies.put(policy));
      change.policy(policy);
    }
    for (const key of update.unreadablePolicies ?? []) this.#policies.cannotRead(key);
    for (const name of update.removedAddresses) this.#removeAddress(name, change);
    for (const address of update.addresses) {
      if (address.kind === "workload") this.#putWorkload(address.workload, change);
      else this.#putService(address.service, change);
    }
    for (const listener of this.#listeners) listener(change);
    return change;
  }

  /** Calls the listener after each update; the returned function ends that. */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Who is at an address: a service's VIP, then a workload, then a service's block. A VIP that is
   * also a workload's address counts only where that workload is an endpoint of the service: nobody
   * diverts a pod's traffic by declaring its address.
   */
  findAddress(query: AddressQuery): FoundAddress | undefined {
    const { ip, clientNamespace: namespace } = query;
    const network = query.network ?? this.#options.network;
    const client = { namespace, preferredNamespace: this.#options.preferredServiceNamespace };
    const service = this.#services.findByVip(network, ip, client);
    const workload = this.#workloads.findByAddress(network, ip);
    if (service !== undefined) {
      if (workload === undefined || workload.services.has(serviceKey(service))) {
        return { kind: "service", service };
      }
    }
    if (workload !== undefined) return { kind: "workload", workload };
    const block = this.#services.findByBlock(network, ip, client);
    return block && { kind: "service", service: block };
  }

  findWorkloadByUid(uid: string): Workload | undefined {
    return this.#workloads.get(uid);
  }

  /** Never a host-network workload: its address is its node's. */
  findWorkloadByIp(network: string, ip: IpAddress): Workload | undefined {
    return this.#workloads.findByAddress(network, ip);
  }

  /**
   * The service that a client in `clientNamespace` means by a hostname, of those that `accept`
   * takes; host names are compared without regard to case (ambient.md F34, F35).
   */
  findServiceByHostname(
    hostname: string,
    clientNamespace: string,
    accept?: (service: Service) => boolean,
  ): Service | undefined {
    const client = {
      namespace: clientNamespace,
      preferredNamespace: this.#options.preferredServiceNamespace,
    };
    return this.#services.findByHostname(hostname, client, accept);
  }

  findServiceByKey(key: string): Service | undefined {
    return this.#services.get(key);
  }

  /** Where a waypoint or network gateway is found: exactly what the control plane names. */
  resolveGateway(gateway: GatewayAddress): FoundAddress | undefined {
    if (gateway.kind === "address") return this.findAddress(gateway.address);
    const service = this.#services.get(serviceKey(gateway.name));
    if (service !== undefined) return { kind: "service", service };
    const { namespace, hostname } = gateway.name;
    const workload = this.#workloads.findByHostname(namespace, hostname);
    return workload && { kind: "workload", workload };
  }

  /** Every workload that lists the service, whatever its health. */
  endpointsOf(service: Service): EndpointSet {
    return this.#services.endpoints(serviceKey(service));
  }

  /** The policies of the workload's namespace, the global ones and those that it names. */
  policiesFor(workload: Workload): WorkloadPolicies {
    return this.#policies.forWorkload(workload);
  }

  workloads(): IterableIterator<Workload> {
    return this.#workloads.values();
  }

  services(): IterableIterator<Service> {
    return this.#services.values();
  }

  policies(): IterableIterator<Authorization> {
    return this.#policies.values();
  }

  /** Keys of policies that no version could be read of: whom they may cover is closed. */
  unreadablePolicies(): ReadonlySet<string> {
    return this.#policies.unreadable();
  }

  get counts(): { workloads: number; services: number; policies: number } {
    return {
      workloads: this.#workloads.size,
      services: this.#services.size,
      policies: this.#policies.size,
    };
  }

  #putWorkload(workload: Workload, change: ChangeBuilder): void {
    const previous = this.#workloads.put(workload);
    this.#services.moveEndpoint(previous, workload);
    change.workloads.add(workload.uid);
    if (previous !== undefined && !sameBinding(previous, workload))
      change.rebound.add(workload.uid);
  }

  #putService(service: Service, change: ChangeBuilder): void {
    this.#services.put(service);
    change.services.add(serviceKey(service));
  }

  #removeAddress(name: string, change: ChangeBuilder): void {
    const workload = this.#workloads.remove(name);
    if (workload !== undefined) {
      this.#services.moveEndpoint(workload, undefined);
      change.workloads.add(name);
      change.rebound.add(name);
    }
    if (this.#services.remove(name) !== undefined) change.services.add(name);
  }
}

class ChangeBuilder implements AppliedChange {
  readonly workloads = new Set<string>();
  readonly rebound = new Set<string>();
  readonly services = new Set<string>();
  readonly policies = { global: false, namespaces: new Set<string>(), keys: new Set<string>() };

  policy(policy: Authorization | undefined): void {
    if (policy === undefined) return;
    this.policies.keys.add(policyKey(policy));
    if (policy.scope === "global") this.policies.global = true;
    if (policy.scope === "namespace") this.policies.namespaces.add(policy.namespace);
  }
}

/** Whether a tunnel made for the one leads to the other, too. */
function sameBinding(a: Workload, b: Workload): boolean {
  return (
    a.network === b.network &&
    a.tunnelProtocol === b.tunnelProtocol &&
    a.trustDomain === b.trustDomain &&
    a.namespace === b.namespace &&
    a.serviceAccount === b.serviceAccount &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((ip, i) => ip === b.addresses[i])
  );
}
