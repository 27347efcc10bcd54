/** ServiceEntry to mesh Services: one for each of its hosts (ambient.md F32). */
import type { Namespace, ServiceEntry, ServiceEntryPort } from "#common/kubernetes/objects.ts";
import type { ServiceAddress } from "#common/model/address.ts";
import { type Cidr, type IpAddress, ipFromBytes, parseCidr, parseIp } from "#common/model/ip.ts";
import type { LoadBalancing, Service, ServicePort, Visibility } from "#common/model/service.ts";
import { entryLoadBalancing } from "./load-balancing.ts";
import { appProtocol } from "./service-ports.ts";
import { entryExport } from "./visibility.ts";
import { type Binding, waypointFields } from "./waypoints/binding.ts";

// Source: istio/api label/labels.yaml.
const AUTOMATIC_ADDRESS_LABEL = "networking.istio.io/enable-autoallocate-ip";

export type Resolution = NonNullable<ServiceEntry["spec"]["resolution"]>;

export function resolutionOf(entry: ServiceEntry): Resolution {
  return entry.spec.resolution ?? "NONE";
}

/** DYNAMIC_DNS takes a waypoint, which reads the name out of the request. */
export function needsWaypoint(entry: ServiceEntry): boolean {
  return resolutionOf(entry) === "DYNAMIC_DNS";
}

/** Whether names of this entry are looked up by the proxies. */
export function isResolvedByDns(entry: ServiceEntry): boolean {
  const resolution = resolutionOf(entry);
  return resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
}

/** The single addresses and the blocks that the entry asks for; a block of one is an address. */
export function givenAddresses(entry: ServiceEntry): {
  readonly ips: readonly IpAddress[];
  readonly blocks: readonly Cidr[];
} {
  const ips = new Set<IpAddress>();
  const blocks: Cidr[] = [];
  for (const text of entry.spec.addresses ?? []) {
    const block = parseCidr(text);
    if (block === undefined) continue;
    const single = block.length === block.bytes.length * 8;
    const ip = single ? (parseIp(text) ?? ipFromBytes(block.bytes)) : undefined;
    if (ip === undefined) blocks.push(block);
    else ips.add(ip);
  }
  return { ips: [...ips], blocks };
}

/**
 * The hosts that get addresses of the registry's choice. Source: istio/istio
 * networking/serviceentry/ip_autoallocation.go and controllers/ipallocate.
 */
export function hostsWithoutAddress(entry: ServiceEntry): readonly string[] {
  const { addresses = [], hosts } = entry.spec;
  const label = entry.metadata.labels?.[AUTOMATIC_ADDRESS_LABEL]?.toLowerCase();
  const isFixed = resolutionOf(entry) === "NONE";
  const isSeen = entryExport(entry).visibility !== "none";
  if (addresses.length > 0 || isFixed || !isSeen || label === "false") return [];
  return [...new Set(hosts)].filter((host) => !host.startsWith("*") || needsWaypoint(entry));
}

/** Ports as the entry describes them. UDP passes the mesh by. */
export function entryPorts(entry: ServiceEntry): readonly ServicePort[] {
  return tcpEntryPorts(entry).map((port) => ({
    servicePort: port.number,
    targetPort: port.targetPort ?? port.number,
    appProtocol: appProtocol({ appProtocol: port.protocol ?? "" }),
  }));
}

export function tcpEntryPorts(entry: ServiceEntry): readonly ServiceEntryPort[] {
  return (entry.spec.ports ?? []).filter(({ protocol }) => protocol?.toUpperCase() !== "UDP");
}

/** What a host's service takes from elsewhere. */
export interface HostStanding {
  readonly addresses: readonly ServiceAddress[];
  readonly canonical: boolean;
  readonly visibility: Visibility;
  readonly namespace: Namespace | undefined;
  readonly binding: Binding;
}

export function hostService(entry: ServiceEntry, host: string, standing: HostStanding): Service {
  const { name, namespace = "default" } = entry.metadata;
  const loadBalancing = balancing(entry, standing.namespace);
  return {
    name,
    namespace,
    hostname: host,
    addresses: standing.addresses,
    ports: entryPorts(entry),
    subjectAltNames: entry.spec.subjectAltNames ?? [],
    ...waypointFields(standing.binding),
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: "automatic",
    canonical: standing.canonical,
    visibility: standing.visibility,
  };
}

/** Without resolution there is nothing to choose from: connections go where they were going. */
function balancing(
  entry: ServiceEntry,
  namespace: Namespace | undefined,
): LoadBalancing | undefined {
  if (resolutionOf(entry) !== "NONE") return entryLoadBalancing(entry.metadata, namespace);
  return { mode: "passthrough", routingPreference: [], healthPolicy: "allow-all" };
}
