/** What contributors may ask of the mesh, answered from the registry's stores. */
import type { KubeService, ServiceEntry } from "#common/kubernetes/objects.ts";
import { parseIp } from "#common/model/ip.ts";
import type { AppProtocol } from "#common/model/service.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import { EntryDispute } from "../entry-dispute.ts";
import { entrySelector } from "../entry-store.ts";
import { endpointUid, workloadEntryUid } from "../entry-workload.ts";
import { type Labels, selectorMatches } from "../label-index.ts";
import { namespacedName } from "../pod-facts.ts";
import { podUid } from "../pod-workload.ts";
import type { RegistryOptions } from "../registry-options.ts";
import { tcpEntryPorts } from "../service-entry.ts";
import { appProtocol, tcpPorts } from "../service-ports.ts";
import { isMeshService, serviceHostname } from "../service-resource.ts";
import { selectorOf } from "../service-store.ts";
import type { Stores } from "../stores.ts";
import type { Mesh, ServiceFacts } from "./contributions.ts";

const PROTOCOLS: Readonly<Record<AppProtocol, PortConfig["protocol"]>> = {
  unknown: "auto",
  http11: "http",
  http2: "http2",
  grpc: "grpc",
  tcp: "tcp",
  tls: "tls",
};

export class MeshView implements Mesh {
  readonly #options: Pick<RegistryOptions, "clusterId" | "clusterDomain">;
  readonly #stores: Stores;
  readonly #dispute: EntryDispute;

  constructor(options: Pick<RegistryOptions, "clusterId" | "clusterDomain">, stores: Stores) {
    this.#options = options;
    this.#stores = stores;
    this.#dispute = new EntryDispute(stores);
  }

  service(namespace: string, hostname: string): ServiceFacts | undefined {
    const holder = this.#stores.claims.holder(namespace, hostname);
    if (holder === undefined) return undefined;
    const name = holder.key.split("/")[2] ?? "";
    return this.serviceByRef(holder.kind, namespace, name).find(
      (service) => service.hostname === hostname,
    );
  }

  serviceByRef(
    kind: "Service" | "ServiceEntry",
    namespace: string,
    name: string,
  ): readonly ServiceFacts[] {
    const key = `${namespace}/${name}`;
    if (kind === "Service") {
      const service = this.#stores.services.get(key);
      return service !== undefined && isMeshService(service) ? [this.#ofService(service)] : [];
    }
    const entry = this.#stores.entries.service(key);
    return entry === undefined ? [] : this.#ofEntry(entry);
  }

  workloads(service: ServiceFacts, labels: Labels): readonly string[] {
    const key = `${service.namespace}/${service.name}`;
    if (service.kind === "Service") {
      const selector = selectorOf(this.#stores.services.get(key));
      return selector === undefined ? [] : this.#selected(service.namespace, selector, labels);
    }
    const entry = this.#stores.entries.service(key);
    const selector = entrySelector(entry);
    const selected =
      selector === undefined ? [] : this.#selected(service.namespace, selector, labels);
    const listed = (entry?.spec.endpoints ?? []).flatMap((endpoint) => {
      const { address = "" } = endpoint;
      if (entry === undefined || !selectorMatches(labels, endpoint.labels ?? {})) return [];
      return [endpointUid(this.#options.clusterId, entry, parseIp(address) ?? address)];
    });
    return [...selected, ...listed];
  }

  workloadsWith(labels: Labels, namespace?: string): readonly string[] {
    const { pods, entries } = this.#stores;
    const all = () => new Set([...pods.namespaces(), ...entries.namespaces("WorkloadEntry")]);
    const namespaces = namespace === undefined ? [...all()].sort() : [namespace];
    return namespaces.flatMap((each) => this.#selected(each, labels, {}));
  }

  hasWaypoint(kind: "Service" | "ServiceEntry", namespace: string, name: string): boolean {
    return this.#stores.bindings.of(`${kind}/${namespace}/${name}`).serving.length > 0;
  }

  readonly namespaceLabels = (namespace: string): Labels =>
    this.#stores.namespaces.get(namespace)?.metadata.labels ?? {};

  /** Pods and WorkloadEntries of the namespace that carry both. */
  #selected(namespace: string, selector: Labels, labels: Labels): readonly string[] {
    const { pods, entries } = this.#stores;
    const { clusterId } = this.#options;
    if (Object.entries(labels).some(([key, value]) => (selector[key] ?? value) !== value))
      return [];
    const all = { ...selector, ...labels };
    const uid = (key: string) => podUid(clusterId, ...(key.split("/") as [string, string]));
    return [
      ...[...pods.selected(namespace, all)].map(uid),
      ...[...entries.selected(namespace, all)].map((key) => workloadEntryUid(clusterId, key)),
    ].sort();
  }

  #ofService(service: KubeService): ServiceFacts {
    const { name, namespace = "default", labels = {} } = service.metadata;
    return {
      kind: "Service",
      namespace,
      name,
      hostname: serviceHostname(service, this.#options.clusterDomain),
      ports: tcpPorts(service).map((port) => ({
        port: port.port,
        name: port.name ?? "",
        protocol: PROTOCOLS[appProtocol(port)],
      })),
      labels,
    };
  }

  #ofEntry(entry: ServiceEntry): readonly ServiceFacts[] {
    const { labels = {} } = entry.metadata;
    const [namespace = "", name = ""] = namespacedName(entry).split("/");
    const ports = tcpEntryPorts(entry).map((port) => ({
      port: port.number,
      name: port.name,
      protocol: PROTOCOLS[appProtocol({ name: port.name, appProtocol: port.protocol ?? "" })],
    }));
    const hosts = this.#dispute.hostsWon(entry);
    return hosts.map((hostname) => ({
      kind: "ServiceEntry",
      namespace,
      name,
      hostname,
      ports,
      labels,
    }));
  }
}
