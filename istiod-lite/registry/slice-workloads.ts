/**
 * EndpointSlices of Services without a selector: the endpoints their author wrote down. An address
 * that is a pod's is that pod, so that no slice can give a pod a second record without its
 * identity; any other address becomes a workload of its own.
 */
import type { EndpointSlice, KubeService } from "#common/kubernetes/objects.ts";
import { type IpAddress, ipToBytes, parseIp } from "#common/model/ip.ts";
import type { ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { declaredPort, tcpPorts } from "./service-ports.ts";

// Source: Kubernetes' well-known labels.
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

export interface SliceEndpoint {
  readonly ip: IpAddress;
  readonly healthy: boolean;
  /** The author says that the address is a pod's: it is never taken for anything else. */
  readonly isPod: boolean;
}

/** `<namespace>/<name>` of the Service that the slice belongs to. */
export function sliceService(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${slice.metadata.namespace ?? "default"}/${name}`;
}

/**
 * The slice's endpoints by address, each once; names and addresses no endpoint may have are left
 * out.
 */
export function sliceEndpoints(slice: EndpointSlice): readonly SliceEndpoint[] {
  if (slice.addressType === "FQDN") return [];
  const endpoints = new Map<IpAddress, SliceEndpoint>();
  for (const endpoint of slice.endpoints) {
    const { ready = true, terminating = false } = endpoint.conditions ?? {};
    for (const text of endpoint.addresses) {
      const ip = parseIp(text);
      if (ip === undefined || endpoints.has(ip) || !mayBeEndpoint(ip)) continue;
      const isPod = endpoint.targetRef?.kind === "Pod";
      endpoints.set(ip, { ip, healthy: ready && !terminating, isPod });
    }
  }
  return [...endpoints.values()];
}

/** What Kubernetes' validation refuses too: loopback, link-local, multicast, unspecified. */
function mayBeEndpoint(ip: IpAddress): boolean {
  const [first = 0, second = 0, ...rest] = ipToBytes(ip);
  if (rest.length === 2) {
    return first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254);
  }
  const low = rest.at(-1) ?? 0;
  const isZero = first === 0 && second === 0 && rest.slice(0, -1).every((byte) => byte === 0);
  return first !== 0xff && !(first === 0xfe && (second & 0xc0) === 0x80) && !(isZero && low < 2);
}

/** The service's ports as the slice serves them: matched by name, as kube-proxy does. */
export function portsInSlice(service: KubeService, slice: EndpointSlice): readonly ServicePort[] {
  return tcpPorts(service).flatMap((port) => {
    const served = slice.ports?.find(
      ({ name, protocol }) => (name ?? "") === (port.name ?? "") && (protocol ?? "TCP") === "TCP",
    );
    if (served === undefined) return [];
    return [{ ...declaredPort(port), targetPort: served.port ?? port.port }];
  });
}

/** The workload of an address outside the cluster: no identity, no tunnel. */
export function externalWorkload(
  slice: EndpointSlice,
  endpoint: SliceEndpoint,
  services: ReadonlyMap<string, readonly ServicePort[]>,
  options: Pick<RegistryOptions, "clusterId" | "trustDomain" | "hbone">,
): Workload {
  const { name, namespace = "default" } = slice.metadata;
  const { clusterId, trustDomain } = options;
  return {
    uid: `${clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${endpoint.ip}`,
    name,
    namespace,
    addresses: [endpoint.ip],
    hostname: "",
    network: "",
    tunnelProtocol: "none",
    trustDomain,
    serviceAccount: "",
    node: "",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "pod",
    workloadName: name,
    nativeTunnel: false,
    services,
    authorizationPolicies: [],
    status: endpoint.healthy ? "healthy" : "unhealthy",
    clusterId,
    locality: { region: "", zone: "", subzone: "" },
    // Nobody knows what else is at such an address, so nothing is found by it. As istiod has it.
    networkMode: "host-network",
    capacity: 1,
  };
}
