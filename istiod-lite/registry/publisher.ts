/**
 * Derives the resources of one object from the stores and publishes them, replacing its former
 * ones.
 */
import type { Namespace, Node, Pod } from "#common/kubernetes/objects.ts";
import { networkAddressKey, serviceKey } from "#common/model/address.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import type { Service, ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { encodeAuthorization } from "#common/xds/encode-authorization.ts";
import { encodeCapturedPod } from "#common/xds/encode-captured-pod.ts";
import { encodeAddress } from "#common/xds/encode-workload.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { capturedPod, enrolmentOf } from "./enrolment.ts";
import { podAddresses } from "./pod-facts.ts";
import type { PodStore } from "./pod-store.ts";
import { podUid, podWorkload, workloadAliases } from "./pod-workload.ts";
import type { Policies } from "./policies/index.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { ResourceTable } from "./resource-table.ts";
import { portsInPod } from "./service-ports.ts";
import { isMeshService, serviceHostname, serviceResource } from "./service-resource.ts";
import type { ServiceStore } from "./service-store.ts";
import { externalWorkload, portsInSlice, sliceEndpoints } from "./slice-workloads.ts";

/** The registry's stores; the publisher reads all of them and writes the table. */
export interface Stores {
  readonly pods: PodStore;
  readonly services: ServiceStore;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly policies: Policies;
  readonly table: ResourceTable;
}

export class Publisher {
  readonly #options: RegistryOptions;
  readonly #stores: Stores;
  /** The uid under which a pod is published for capture, by the pod's key. */
  readonly #captured = new Map<string, string>();
  /** The services as published, by the Service's key: a name once published must be withdrawn. */
  readonly #serviceNames = new Map<string, string>();
  readonly #sliceWorkloads = new Map<string, ReadonlySet<string>>();

  constructor(options: RegistryOptions, stores: Stores) {
    this.#options = options;
    this.#stores = stores;
  }

  policies(upserted: readonly Authorization[], removed: readonly string[]): void {
    const { table } = this.#stores;
    for (const name of removed) table.delete(AUTHORIZATION_TYPE, name);
    for (const policy of upserted) {
      const value = encodeAuthorization(policy);
      table.set({ typeUrl: AUTHORIZATION_TYPE, name: policyKey(policy), aliases: [], value });
    }
  }

  service(key: string): void {
    const { services, table } = this.#stores;
    const service = services.get(key);
    if (service !== undefined && isMeshService(service)) {
      const resource = serviceResource(service, this.#options.clusterDomain);
      this.#serviceNames.set(key, this.#publishService(resource));
      return;
    }
    const published = this.#serviceNames.get(key);
    if (published !== undefined) table.delete(ADDRESS_TYPE, published);
    this.#serviceNames.delete(key);
  }

  slice(key: string): void {
    const before = this.#sliceWorkloads.get(key) ?? new Set();
    const now = new Set(
      this.#sliceWorkloadsOf(key).map((workload) => this.#publishWorkload(workload)),
    );
    for (const uid of before) if (!now.has(uid)) this.#stores.table.delete(ADDRESS_TYPE, uid);
    if (now.size === 0) this.#sliceWorkloads.delete(key);
    else this.#sliceWorkloads.set(key, now);
  }

  pod(key: string): void {
    const pod = this.#stores.pods.get(key);
    const [namespace = "", name = ""] = key.split("/");
    const uid = podUid(this.#options.clusterId, namespace, name);
    const workload = pod === undefined ? undefined : this.#podWorkload(pod);
    if (workload === undefined) this.#stores.table.delete(ADDRESS_TYPE, uid);
    else this.#publishWorkload(workload);
    this.#capture(key, pod, uid);
  }

  #capture(key: string, pod: Pod | undefined, workloadUid: string): void {
    const { namespaces, table } = this.#stores;
    const namespace = namespaces.get(pod?.metadata.namespace ?? "default");
    const wanted =
      pod !== undefined && enrolmentOf(pod, namespace, this.#options).enrolled
        ? capturedPod(pod, workloadUid)
        : undefined;
    const before = this.#captured.get(key);
    if (before !== undefined && before !== wanted?.pod.uid) {
      table.delete(CAPTURED_POD_TYPE, before);
      this.#captured.delete(key);
    }
    if (wanted === undefined) return;
    this.#captured.set(key, wanted.pod.uid);
    table.set({
      typeUrl: CAPTURED_POD_TYPE,
      name: wanted.pod.uid,
      aliases: [],
      value: encodeCapturedPod(wanted.pod),
      node: wanted.node,
    });
  }

  #podWorkload(pod: Pod): Workload | undefined {
    const { namespace = "default", labels = {} } = pod.metadata;
    const surroundings = {
      node: this.#stores.nodes.get(pod.spec.nodeName ?? ""),
      services: this.#servicesOf(pod),
      authorizationPolicies: this.#stores.policies.selectPolicies(labels, namespace),
    };
    return podWorkload(pod, surroundings, this.#options);
  }

  #servicesOf(pod: Pod): ReadonlyMap<string, readonly ServicePort[]> {
    const { services, pods } = this.#stores;
    const { namespace = "default", labels = {} } = pod.metadata;
    const ports = new Map<string, readonly ServicePort[]>();
    for (const service of services.selecting(namespace, labels)) {
      ports.set(this.#serviceKey(service), portsInPod(service, pod));
    }
    for (const ip of podAddresses(pod)) {
      if (!pods.atAddress(ip).has(`${namespace}/${pod.metadata.name}`)) continue;
      for (const key of [...services.slicesAt(ip)].sort()) {
        const slice = services.slice(key);
        if (slice === undefined || (slice.metadata.namespace ?? "default") !== namespace) continue;
        const service = services.serviceOfSlice(slice);
        if (service === undefined || ports.has(this.#serviceKey(service))) continue;
        ports.set(this.#serviceKey(service), portsInSlice(service, slice));
      }
    }
    return ports;
  }

  #sliceWorkloadsOf(key: string): readonly Workload[] {
    const { services, pods } = this.#stores;
    const slice = services.slice(key);
    const service = slice && services.serviceOfSlice(slice);
    if (slice === undefined || service === undefined) return [];
    const ports = new Map([[this.#serviceKey(service), portsInSlice(service, slice)]]);
    return sliceEndpoints(slice)
      .filter(({ ip, isPod }) => !isPod && pods.atAddress(ip).size === 0)
      .map((endpoint) => externalWorkload(slice, endpoint, ports, this.#options));
  }

  #serviceKey(service: Parameters<typeof serviceHostname>[0]): string {
    const hostname = serviceHostname(service, this.#options.clusterDomain);
    return serviceKey({ namespace: service.metadata.namespace ?? "default", hostname });
  }

  #publishWorkload(workload: Workload): string {
    this.#stores.table.set({
      typeUrl: ADDRESS_TYPE,
      name: workload.uid,
      aliases: workloadAliases(workload),
      value: encodeAddress({ kind: "workload", workload }),
    });
    return workload.uid;
  }

  #publishService(service: Service): string {
    const name = serviceKey(service);
    this.#stores.table.set({
      typeUrl: ADDRESS_TYPE,
      name,
      aliases: service.addresses.map(networkAddressKey),
      value: encodeAddress({ kind: "service", service }),
    });
    return name;
  }
}
