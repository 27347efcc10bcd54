/**
 * Workloads outside Kubernetes: WorkloadEntries, and the endpoints that a ServiceEntry lists or
 * implies. Source: istio/istio serviceregistry/ambient/workloads.go.
 */
import type {
  KubeService,
  Pod,
  ServiceEntry,
  WorkloadEntry,
  WorkloadEntrySpec,
} from "#common/kubernetes/objects.ts";
import type { GatewayAddress } from "#common/model/address.ts";
import { parseIp } from "#common/model/ip.ts";
import type { ServicePort } from "#common/model/service.ts";
import type { Locality, NetworkMode, Workload } from "#common/model/workload.ts";
import { REDIRECTION_ANNOTATION } from "#istiod-lite/config/source.ts";
import { entryLabels } from "./entry-store.ts";
import type { Labels } from "./label-index.ts";
import { NATIVE_TUNNEL_LABEL } from "./pod-workload.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { entryPorts, tcpEntryPorts } from "./service-entry.ts";
import { declaredPort, namedPort, tcpPorts } from "./service-ports.ts";
import { canonicalName, canonicalRevision } from "./workload-names.ts";

/** What an entry's workload takes from elsewhere. */
export interface EntrySurroundings {
  readonly services: ReadonlyMap<string, readonly ServicePort[]>;
  readonly authorizationPolicies: readonly string[];
  /** "host-network" where the address means something else too: it is then no way to find it. */
  readonly networkMode: NetworkMode;
  readonly waypoint?: GatewayAddress;
}

type Options = Pick<RegistryOptions, "clusterId" | "trustDomain" | "hbone">;

export function workloadEntryUid(clusterId: string, key: string): string {
  return `${clusterId}/networking.istio.io/WorkloadEntry/${key}`;
}

/** Undefined where no proxy could reach it: it has neither address nor name. */
export function workloadEntryWorkload(
  entry: WorkloadEntry,
  surroundings: EntrySurroundings,
  options: Options,
): Workload | undefined {
  const { name, namespace = "default", annotations = {} } = entry.metadata;
  const labels = entryLabels(entry);
  // Source: istio/istio pkg/kube/labels WorkloadNameFromWorkloadEntry.
  const workloadName =
    annotations["istio.io/autoRegistrationGroup"] ??
    labels["service.istio.io/workload-name"] ??
    name;
  const uid = workloadEntryUid(options.clusterId, `${namespace}/${name}`);
  const base = { uid, name, namespace, workloadName, labels, annotations };
  return entryWorkload(entry.spec, base, { ...surroundings, healthy: isHealthy(entry) }, options);
}

/** A virtual machine's agent reports its probe. Source: Istio's condition type "Healthy". */
function isHealthy(entry: WorkloadEntry): boolean {
  const health = entry.status?.conditions?.find(({ type }) => type === "Healthy");
  return health?.status !== "False";
}

export function endpointUid(clusterId: string, entry: ServiceEntry, address: string): string {
  const { name, namespace = "default" } = entry.metadata;
  return `${clusterId}/networking.istio.io/ServiceEntry/${namespace}/${name}/${address}`;
}

/** One endpoint of a ServiceEntry; its identity in the mesh is its address. */
export function endpointWorkload(
  entry: ServiceEntry,
  endpoint: WorkloadEntrySpec,
  surroundings: EntrySurroundings,
  options: Options,
): Workload | undefined {
  const { name, namespace = "default", labels = {}, annotations = {} } = entry.metadata;
  const { address = "" } = endpoint;
  const uid = endpointUid(options.clusterId, entry, parseIp(address) ?? address);
  const base = { uid, name, namespace, workloadName: name, labels, annotations };
  return entryWorkload(endpoint, base, { ...surroundings, healthy: true }, options);
}

interface EntryBase {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly workloadName: string;
  readonly labels: Labels;
  readonly annotations: Labels;
}

function entryWorkload(
  spec: WorkloadEntrySpec,
  base: EntryBase,
  surroundings: EntrySurroundings & { readonly healthy: boolean },
  options: Options,
): Workload | undefined {
  const { address = "", network = "", weight = 0 } = spec;
  if (address === "") return undefined;
  const ip = parseIp(address);
  const { uid, name, namespace, workloadName, labels, annotations } = base;
  const nativeTunnel = labels[NATIVE_TUNNEL_LABEL] === "http";
  const redirected = annotations[REDIRECTION_ANNOTATION] === "enabled";
  return {
    uid,
    name,
    namespace,
    addresses: ip === undefined ? [] : [ip],
    hostname: ip === undefined ? address : "",
    network,
    tunnelProtocol: options.hbone && (nativeTunnel || redirected) ? "hbone" : "none",
    trustDomain: options.trustDomain,
    serviceAccount: spec.serviceAccount ?? "",
    node: "",
    canonicalName: canonicalName(labels, workloadName),
    canonicalRevision: canonicalRevision(labels),
    workloadType: "pod",
    workloadName,
    nativeTunnel,
    ...(surroundings.waypoint && { waypoint: surroundings.waypoint }),
    services: surroundings.services,
    authorizationPolicies: surroundings.authorizationPolicies,
    status: surroundings.healthy ? "healthy" : "unhealthy",
    clusterId: options.clusterId,
    locality: parseLocality(spec.locality),
    networkMode: surroundings.networkMode,
    capacity: weight === 0 ? 1 : weight,
  };
}

function parseLocality(text = ""): Locality {
  const [region = "", zone = "", subzone = ""] = text.split("/");
  return { region, zone, subzone };
}

/** Where an entry serves a Kubernetes Service: a target port by name is one that it names. */
export function servicePortsOfEntry(
  service: KubeService,
  { ports = {} }: WorkloadEntrySpec,
): readonly ServicePort[] {
  return tcpPorts(service).flatMap((port) => {
    const { targetPort = port.port, name = "" } = port;
    const number =
      typeof targetPort === "string"
        ? ownPort(ports, targetPort)
        : (ownPort(ports, name) ?? targetPort);
    return number === undefined ? [] : [{ ...declaredPort(port), targetPort: number }];
  });
}

/** Where an endpoint serves a ServiceEntry: at its own port of that name, else where all do. */
export function entryPortsOfEndpoint(
  entry: ServiceEntry,
  { ports = {} }: WorkloadEntrySpec,
): readonly ServicePort[] {
  return portsWith(entry, (name) => ownPort(ports, name));
}

/** Where a pod serves a ServiceEntry: at its container port of that name, else where all do. */
export function entryPortsOfPod(entry: ServiceEntry, pod: Pod): readonly ServicePort[] {
  return portsWith(entry, (name) => namedPort(pod, name));
}

function portsWith(
  entry: ServiceEntry,
  numberOf: (name: string) => number | undefined,
): readonly ServicePort[] {
  const names = tcpEntryPorts(entry).map(({ name }) => name);
  return entryPorts(entry).map((port, i) => ({
    ...port,
    targetPort: numberOf(names[i] ?? "") ?? port.targetPort,
  }));
}

function ownPort(ports: Readonly<Record<string, number>>, name: string): number | undefined {
  return Object.hasOwn(ports, name) ? ports[name] : undefined;
}
