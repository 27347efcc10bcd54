/** Derives the resources and the status of one ServiceEntry or WorkloadEntry from the stores. */
import type { Condition, ServiceEntry, WorkloadEntrySpec } from "#common/kubernetes/objects.ts";
import { type NamespacedHostname, serviceKey } from "#common/model/address.ts";
import { parseIp } from "#common/model/ip.ts";
import type { Service, ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { EntryDispute } from "./entry-dispute.ts";
import { entryCondition } from "./entry-status.ts";
import { entryLabels } from "./entry-store.ts";
import {
  endpointWorkload,
  entryPortsOfEndpoint,
  servicePortsOfEntry,
  workloadEntryWorkload,
} from "./entry-workload.ts";
import type { Publications } from "./publications.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { hostService, isResolvedByDns } from "./service-entry.ts";
import { serviceHostname } from "./service-resource.ts";
import type { Stores } from "./stores.ts";
import { entryExport } from "./visibility.ts";
import { boundConditions } from "./waypoints/binding-verdict.ts";

type PortsByService = ReadonlyMap<string, readonly ServicePort[]>;

/** What a status should say of the object. */
export interface EntryVerdict {
  readonly conditions: readonly Condition[];
  readonly addresses?: readonly { readonly value: string; readonly host: string }[];
}

export class EntryPublisher {
  readonly #options: RegistryOptions;
  readonly #stores: Stores;
  readonly #publications: Publications;
  readonly #dispute: EntryDispute;

  constructor(options: RegistryOptions, stores: Stores, publications: Publications) {
    this.#options = options;
    this.#stores = stores;
    this.#publications = publications;
    this.#dispute = new EntryDispute(stores);
  }

  /** Undefined when the entry is gone. */
  serviceEntry(key: string): EntryVerdict | undefined {
    const entry = this.#stores.entries.service(key);
    if (entry === undefined) this.#stores.bindings.release(`ServiceEntry/${key}`);
    const binding = entry && this.#stores.bindings.bind("ServiceEntry", entry);
    const services = entry === undefined ? [] : this.#services(entry);
    const workloads = entry === undefined ? [] : this.#endpoints(entry, services);
    this.#publications.replace(`ServiceEntry/${key}`, services, workloads);
    if (entry === undefined) return undefined;
    const issues = this.#dispute.serviceEntryIssues(entry);
    const { generation } = entry.metadata;
    const outdated = (entry.status?.addresses ?? []).length > 0;
    const addresses = this.#stores.addresses.of(entry) ?? (outdated ? [] : undefined);
    return {
      conditions: [
        entryCondition(issues, services.length > 0, generation),
        ...boundConditions(binding, generation),
      ],
      ...(addresses !== undefined && { addresses }),
    };
  }

  /** Undefined when the entry is gone. */
  workloadEntry(key: string): EntryVerdict | undefined {
    const { entries, policies } = this.#stores;
    const entry = entries.workload(key);
    if (entry === undefined) {
      this.#stores.bindings.release(`WorkloadEntry/${key}`);
      this.#publications.replace(`WorkloadEntry/${key}`, [], []);
      return undefined;
    }
    const { namespace = "default", generation } = entry.metadata;
    const labels = entryLabels(entry);
    const issues = this.#dispute.workloadEntryIssues(entry);
    const binding = this.#stores.bindings.bind("WorkloadEntry", entry);
    const surroundings = {
      ...(binding.waypoint && { waypoint: binding.waypoint }),
      services: this.#servicesSelecting(namespace, labels, entry.spec),
      authorizationPolicies: policies.selectPolicies(labels, namespace),
      networkMode: this.#dispute.networkMode(`WorkloadEntry/${key}`, entry.spec),
    };
    const workload =
      issues.length > 0 ? undefined : workloadEntryWorkload(entry, surroundings, this.#options);
    this.#publications.replace(`WorkloadEntry/${key}`, [], workload ? [workload] : []);
    const accepted = entryCondition(issues, workload !== undefined, generation);
    return { conditions: [accepted, ...boundConditions(binding, generation)] };
  }

  #services(entry: ServiceEntry): readonly Service[] {
    const { namespace = "default" } = entry.metadata;
    const { visibility } = entryExport(entry);
    if (visibility === "none" || !this.#dispute.hasWhatItNeeds(entry)) return [];
    const claim = `ServiceEntry/${namespace}/${entry.metadata.name}`;
    return this.#dispute.hostsWon(entry).map((host) =>
      hostService(entry, host, {
        addresses: this.#dispute.addressesWon(entry, host),
        canonical: this.#stores.claims.isCanonical(claim, host),
        visibility,
        namespace: this.#stores.namespaces.get(namespace),
        binding: this.#stores.bindings.of(claim),
      }),
    );
  }

  /**
   * The endpoints that the entry lists; without any, the hosts themselves where names are resolved
   * (ambient.md F38). An address that is a pod's is that pod, which lists the service itself.
   */
  #endpoints(entry: ServiceEntry, services: readonly Service[]): readonly Workload[] {
    if (services.length === 0) return [];
    const { endpoints = [], workloadSelector } = entry.spec;
    if (endpoints.length > 0) {
      const seen = new Set<string>();
      return endpoints.flatMap((endpoint) => {
        const { address = "" } = endpoint;
        const id = parseIp(address) ?? address;
        if (seen.has(id) || this.#dispute.podAt(endpoint) !== undefined) return [];
        seen.add(id);
        return this.#endpoint(entry, endpoint, services);
      });
    }
    if (!isResolvedByDns(entry) || workloadSelector !== undefined) return [];
    return services.flatMap((service) =>
      this.#endpoint(entry, { address: service.hostname }, [service]),
    );
  }

  #endpoint(
    entry: ServiceEntry,
    endpoint: WorkloadEntrySpec,
    services: readonly NamespacedHostname[],
  ): readonly Workload[] {
    const { namespace = "default", name, labels = {} } = entry.metadata;
    const ports = entryPortsOfEndpoint(entry, endpoint);
    const surroundings = {
      services: new Map(services.map((service) => [serviceKey(service), ports])),
      authorizationPolicies: this.#stores.policies.selectPolicies(labels, namespace),
      networkMode: this.#dispute.networkMode(`ServiceEntry/${namespace}/${name}`, endpoint),
    };
    const workload = endpointWorkload(entry, endpoint, surroundings, this.#options);
    return workload === undefined ? [] : [workload];
  }

  #servicesSelecting(
    namespace: string,
    labels: Readonly<Record<string, string>>,
    spec: WorkloadEntrySpec,
  ): PortsByService {
    const { services, entries } = this.#stores;
    const ports = new Map<string, readonly ServicePort[]>();
    for (const service of services.selecting(namespace, labels)) {
      const hostname = serviceHostname(service, this.#options.clusterDomain);
      ports.set(serviceKey({ namespace, hostname }), servicePortsOfEntry(service, spec));
    }
    for (const entry of entries.selecting(namespace, labels)) {
      for (const hostname of this.#dispute.hostsWon(entry)) {
        ports.set(serviceKey({ namespace, hostname }), entryPortsOfEndpoint(entry, spec));
      }
    }
    return ports;
  }
}
