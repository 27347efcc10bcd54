/**
 * Derives the resources of one object from the stores and publishes them, replacing its former
 * ones.
 */
import type { Pod } from "#common/kubernetes/objects.ts";
import { serviceKey } from "#common/model/address.ts";
import { type Authorization, policyKey } from "#common/model/authorization.ts";
import type { CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { encodeAuthorization } from "#common/xds/encode-authorization.ts";
import { encodeCapturedPod } from "#common/xds/encode-captured-pod.ts";
import { AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { capturedPod, capturedPodRecord, enrolmentOf, isRuntimesPod } from "./enrolment.ts";
import { EntryDispute } from "./entry-dispute.ts";
import { entryPortsOfEndpoint, entryPortsOfPod } from "./entry-workload.ts";
import { podAddresses } from "./pod-facts.ts";
import { podUid, podWorkload } from "./pod-workload.ts";
import type { Publications } from "./publications.ts";
import type { RegistryOptions } from "./registry-options.ts";
import type { ResourceTable } from "./resource-table.ts";
import { portsInPod } from "./service-ports.ts";
import { clusterIps, isMeshService, serviceHostname, serviceResource } from "./service-resource.ts";
import { externalWorkload, portsInSlice, sliceEndpoints } from "./slice-workloads.ts";
import type { Stores } from "./stores.ts";
import { serviceExport } from "./visibility.ts";
import type { EnforcementPolicies } from "./waypoints/enforcement.ts";

export interface PublisherDeps {
  readonly stores: Stores;
  readonly table: ResourceTable;
  readonly publications: Publications;
  readonly enforcement: EnforcementPolicies;
}

export class Publisher {
  readonly #options: RegistryOptions;
  readonly #stores: Stores;
  readonly #table: ResourceTable;
  readonly #publications: Publications;
  readonly #dispute: EntryDispute;
  readonly #enforcement: EnforcementPolicies;
  /** The uid under which a pod is published for capture, by the pod's key. */
  readonly #captured = new Map<string, string>();

  constructor(options: RegistryOptions, deps: PublisherDeps) {
    const { stores, table, publications } = deps;
    this.#options = options;
    this.#stores = stores;
    this.#table = table;
    this.#publications = publications;
    this.#dispute = new EntryDispute(stores);
    this.#enforcement = deps.enforcement;
  }

  policies(upserted: readonly Authorization[], removed: readonly string[]): void {
    const table = this.#table;
    for (const name of removed) table.delete(AUTHORIZATION_TYPE, name);
    for (const policy of upserted) {
      const value = encodeAuthorization(policy);
      table.set({ typeUrl: AUTHORIZATION_TYPE, name: policyKey(policy), aliases: [], value });
    }
  }

  /** Returns what of the service is not in force, one line each. */
  service(key: string): readonly string[] {
    const { services, claims, namespaces } = this.#stores;
    const service = services.get(key);
    const visibility = service === undefined ? "none" : serviceExport(service).visibility;
    if (service === undefined || !isMeshService(service) || visibility === "none") {
      this.#stores.bindings.release(`Service/${key}`);
      this.#publications.replace(`Service/${key}`, [], []);
      return [];
    }
    const others = new Map<IpAddress, string>();
    for (const ip of clusterIps(service)) {
      const owner = claims.obstacle(`Service/${key}`, "", ip)?.key;
      if (owner !== undefined) others.set(ip, owner);
    }
    const resource = serviceResource(service, this.#options.clusterDomain, {
      ips: clusterIps(service).filter((ip) => !others.has(ip)),
      visibility,
      namespace: namespaces.get(service.metadata.namespace ?? "default"),
      binding: this.#stores.bindings.bind("Service", service),
    });
    this.#publications.replace(`Service/${key}`, [resource], []);
    return [...others].map(([ip, owner]) => `clusterIP ${ip} belongs to ${owner}, which keeps it`);
  }

  slice(key: string): void {
    this.#publications.replace(`EndpointSlice/${key}`, [], this.#sliceWorkloadsOf(key));
  }

  pod(key: string): void {
    const pod = this.#stores.pods.get(key);
    const [namespace = "", name = ""] = key.split("/");
    const uid = podUid(this.#options.clusterId, namespace, name);
    if (pod === undefined) {
      this.#stores.bindings.release(`Pod/${key}`);
      this.#enforcement.release(key);
    }
    const workload = pod === undefined ? undefined : this.#podWorkload(pod);
    this.#publications.replace(`Pod/${key}`, [], workload === undefined ? [] : [workload]);
    this.#capture(key, pod, uid);
  }

  /** Undefined where the pod is not known yet, or not to be on that node. */
  captureVerdict({ node, namespace, name, uid }: SandboxedPod): CaptureVerdict | undefined {
    const { namespaces, pods } = this.#stores;
    const pod = pods.get(`${namespace}/${name}`);
    const surroundings = namespaces.get(namespace);
    if (pod === undefined || pod.spec.nodeName !== node || !isRuntimesPod(pod, uid)) return;
    const enrolment = enrolmentOf(pod, surroundings, this.#options);
    if (!enrolment.enrolled) return { kind: "not-enrolled", reason: enrolment.reason };
    const workloadUid = podUid(this.#options.clusterId, namespace, name);
    const record = capturedPodRecord(pod, workloadUid, this.#options, []);
    return record && { kind: "enrolled", pod: record };
  }

  #capture(key: string, pod: Pod | undefined, workloadUid: string): void {
    const { namespaces } = this.#stores;
    const table = this.#table;
    const namespace = namespaces.get(pod?.metadata.namespace ?? "default");
    const wanted =
      pod !== undefined && enrolmentOf(pod, namespace, this.#options).enrolled
        ? capturedPod(pod, workloadUid, this.#options)
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
      scope: wanted.node,
    });
  }

  #podWorkload(pod: Pod): Workload | undefined {
    const { namespace = "default", labels = {} } = pod.metadata;
    const { bindings, nodes, policies } = this.#stores;
    const services = this.#servicesOf(pod);
    const binding = bindings.bind("Pod", pod);
    const enforced = this.#enforcement.of(pod, [...services.keys()]);
    const surroundings = {
      node: nodes.get(pod.spec.nodeName ?? ""),
      services,
      authorizationPolicies: [...policies.selectPolicies(labels, namespace), ...enforced],
      waypoint: binding.waypoint,
    };
    return podWorkload(pod, surroundings, this.#options);
  }

  #servicesOf(pod: Pod): ReadonlyMap<string, readonly ServicePort[]> {
    const { services, entries, pods } = this.#stores;
    const { namespace = "default", labels = {} } = pod.metadata;
    const ports = new Map<string, readonly ServicePort[]>();
    for (const service of services.selecting(namespace, labels)) {
      ports.set(this.#serviceKey(service), portsInPod(service, pod));
    }
    for (const entry of entries.selecting(namespace, labels)) {
      for (const hostname of this.#dispute.hostsWon(entry)) {
        ports.set(serviceKey({ namespace, hostname }), entryPortsOfPod(entry, pod));
      }
    }
    for (const ip of podAddresses(pod)) {
      if (!pods.atAddress(ip).has(`${namespace}/${pod.metadata.name}`)) continue;
      this.#addServicesAt(ip, namespace, ports);
    }
    return ports;
  }

  /** Services of the pod's namespace that name its address and do not select it. */
  #addServicesAt(
    ip: IpAddress,
    namespace: string,
    ports: Map<string, readonly ServicePort[]>,
  ): void {
    const { services, entries } = this.#stores;
    for (const key of [...services.slicesAt(ip)].sort()) {
      const slice = services.slice(key);
      if (slice === undefined || (slice.metadata.namespace ?? "default") !== namespace) continue;
      const service = services.serviceOfSlice(slice);
      if (service === undefined || ports.has(this.#serviceKey(service))) continue;
      ports.set(this.#serviceKey(service), portsInSlice(service, slice));
    }
    for (const key of [...entries.atAddress(ip)].sort()) {
      const [kind, entryNamespace, name] = key.split("/");
      const entry = entries.service(`${entryNamespace}/${name}`);
      if (kind !== "ServiceEntry" || entryNamespace !== namespace || entry === undefined) continue;
      const endpoint = entry.spec.endpoints?.find(
        ({ address = "", network = "" }) => network === "" && parseIp(address) === ip,
      );
      if (endpoint === undefined) continue;
      for (const hostname of this.#dispute.hostsWon(entry)) {
        const service = serviceKey({ namespace, hostname });
        if (!ports.has(service)) ports.set(service, entryPortsOfEndpoint(entry, endpoint));
      }
    }
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
}
