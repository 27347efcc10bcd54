/**
 * The names of a cluster, by the Kubernetes DNS specification (version 1.1.0): services, headless
 * services and their endpoints, named ports (SRV), pods by address, and the way back (PTR).
 */
import type { EndpointSlice, KubeService, KubeServicePort } from "#common/kubernetes/objects.ts";
import { type IpAddress, ipToBytes, isIpv6Address, parseIp } from "#common/model/ip.ts";
import {
  belongsTo,
  dashed,
  endpointsOf,
  type ServiceEndpoint,
  sliceEndpoints,
} from "#meshctl/local/services/endpoints.ts";

export const CLUSTER_DOMAIN = "cluster.local";

export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly data: IpAddress }
  | { readonly type: "CNAME" | "PTR"; readonly data: string }
  | { readonly type: "SRV"; readonly data: { readonly port: number; readonly target: string } };

/**
 * What an answer is made from: the records of a name, `undefined` where the name does not exist.
 */
export interface DnsZone {
  /**
   * `name` in lower case without the final dot. A name that exists may have no records of a type.
   */
  lookup(name: string): readonly DnsRecord[] | undefined;
}

/** A zone with the names of these services; a change of services or endpoints makes a new one. */
export function buildZone(
  services: readonly KubeService[],
  slices: readonly EndpointSlice[],
): DnsZone {
  const names = new Map<string, DnsRecord[]>();
  const add = (name: string, ...records: DnsRecord[]) => {
    const key = name.toLowerCase();
    names.set(key, [...(names.get(key) ?? []), ...records]);
  };
  for (const service of services) {
    const owner = `${service.metadata.name}.${service.metadata.namespace}.svc.${CLUSTER_DOMAIN}`;
    const own = slices.filter((slice) => belongsTo(slice, service));
    if (service.spec.type === "ExternalName") {
      add(owner, { type: "CNAME", data: service.spec.externalName ?? "" });
    } else if (service.spec.clusterIP === "None") addHeadless(add, owner, service, own);
    else addClusterIp(add, owner, service);
  }
  addParents(names);
  return { lookup: (name) => names.get(name) ?? podRecords(name) };
}

type Add = (name: string, ...records: DnsRecord[]) => void;

function addClusterIp(add: Add, owner: string, service: KubeService): void {
  const ips = (service.spec.clusterIPs ?? []).flatMap((text) => parseIp(text) ?? []);
  add(owner, ...ips.map(addressRecord));
  for (const ip of ips) add(reverseName(ip), { type: "PTR", data: owner });
  for (const port of service.spec.ports ?? []) {
    if (port.name === undefined || port.name === "") continue;
    add(srvName(port, owner), { type: "SRV", data: { port: port.port, target: owner } });
  }
}

function addHeadless(
  add: Add,
  owner: string,
  service: KubeService,
  slices: readonly EndpointSlice[],
): void {
  const endpoints = slices.flatMap((slice) => sliceEndpoints(slice, 0)).filter((e) => e.ready);
  add(owner, ...endpoints.map((endpoint) => addressRecord(endpoint.ip)));
  const nameOf = (endpoint: ServiceEndpoint) => `${endpoint.hostname}.${owner}`;
  for (const endpoint of endpoints) {
    add(nameOf(endpoint), addressRecord(endpoint.ip));
    add(reverseName(endpoint.ip), { type: "PTR", data: nameOf(endpoint) });
  }
  for (const port of service.spec.ports ?? []) {
    if (port.name === undefined || port.name === "") continue;
    for (const endpoint of endpointsOf(service, port, slices).filter((e) => e.ready)) {
      const data = { port: endpoint.port, target: nameOf(endpoint) };
      add(srvName(port, owner), { type: "SRV", data });
    }
  }
}

function srvName(port: KubeServicePort, owner: string): string {
  return `_${port.name}._${(port.protocol ?? "TCP").toLowerCase()}.${owner}`;
}

/** RFC 8020: a name with something below it exists, though it has no records of its own. */
function addParents(names: Map<string, DnsRecord[]>): void {
  for (const name of [...names.keys()]) {
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      const parent = name.slice(dot + 1);
      if (parent.endsWith(CLUSTER_DOMAIN) && !names.has(parent)) names.set(parent, []);
    }
  }
}

/**
 * `10-244-1-2.shop.pod.cluster.local`: CoreDNS answers it for any address, in the mode kubeadm
 * sets.
 */
function podRecords(name: string): readonly DnsRecord[] | undefined {
  const match = /^([0-9a-f-]+)\.[a-z0-9-]+\.pod\.cluster\.local$/.exec(name);
  const label = match?.[1] ?? "";
  const ip = parseIp(label.replaceAll("-", ".")) ?? parseIp(label.replaceAll("-", ":"));
  return ip === undefined || dashed(ip) !== label ? undefined : [addressRecord(ip)];
}

function addressRecord(ip: IpAddress): DnsRecord {
  return { type: isIpv6Address(ip) ? "AAAA" : "A", data: ip };
}

/** `4.3.2.1.in-addr.arpa`, or the nibbles of an IPv6 address below ip6.arpa (RFC 3596). */
export function reverseName(ip: IpAddress): string {
  const bytes = [...ipToBytes(ip)];
  if (!isIpv6Address(ip)) return `${bytes.reverse().join(".")}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]).reverse();
  return `${nibbles.map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa`;
}
