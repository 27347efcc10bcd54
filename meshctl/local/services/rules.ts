/**
 * Service addresses for everything on a node, in or out of the mesh: the text of one nft table that
 * replaces a service's address by that of a ready endpoint, chosen at random per connection.
 */
import type { EndpointSlice, KubeService, KubeServicePort } from "#common/kubernetes/objects.ts";
import { formatCidr, type IpAddress, isIpv6Address, parseIp } from "#common/model/ip.ts";
import { SERVICE_IPV4, SERVICE_IPV6 } from "#meshctl/local/network/addresses.ts";
import { endpointsOf, type ServiceEndpoint } from "./endpoints.ts";

/** The table belongs to us alone: it is replaced as a whole. */
export const SERVICES_TABLE = "ambient-mesh-services";
/** The kernel's NFT_NAME_MAXLEN is 256 with the final zero; the rest of a longer name is cut. */
const NFT_NAME_MAX = 120;

/** One address and port of a service, and where connections to it may go. */
interface Frontend {
  readonly chain: string;
  readonly ip: IpAddress;
  readonly protocol: string;
  readonly port: number;
  readonly endpoints: readonly ServiceEndpoint[];
  readonly affinity: boolean;
}

/**
 * The whole ruleset of a node, to be given to `nft -f -`: takes effect at once or not at all. A
 * service address that no rule takes is refused (connection reset, port unreachable), also one
 * without endpoint.
 */
export function serviceRules(
  node: string,
  services: readonly KubeService[],
  slices: readonly EndpointSlice[],
): string {
  const frontends = services.flatMap((service) => frontendsOf(node, service, slices));
  const served = frontends.filter((frontend) => frontend.endpoints.length > 0);
  return [
    `table inet ${SERVICES_TABLE} {}`,
    `delete table inet ${SERVICES_TABLE}`,
    `table inet ${SERVICES_TABLE} {`,
    ...frontendMap(
      "frontends4",
      "ipv4_addr",
      served.filter((f) => !isIpv6Address(f.ip)),
    ),
    ...frontendMap(
      "frontends6",
      "ipv6_addr",
      served.filter((f) => isIpv6Address(f.ip)),
    ),
    ...served.map(chainOf),
    ...hairpinSets(served),
    FIXED_CHAINS,
    "}",
    "",
  ].join("\n");
}

/**
 * Destination addresses change before routing, so what still has a service address when it is
 * forwarded or sent has no endpoint. A pod that reaches itself must see another address than its
 * own.
 */
const FIXED_CHAINS = `\
  chain services {
    ip daddr . meta l4proto . th dport vmap @frontends4
    ip6 daddr . meta l4proto . th dport vmap @frontends6
  }
  chain prerouting { type nat hook prerouting priority -100; jump services; }
  chain output { type nat hook output priority -100; jump services; }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmpx port-unreachable
  }
  chain unserved {
    ip daddr ${formatCidr(SERVICE_IPV4)} jump refuse
    ip6 daddr ${formatCidr(SERVICE_IPV6)} jump refuse
  }
  chain filter-forward { type filter hook forward priority 0; jump unserved; }
  chain filter-output { type filter hook output priority 0; jump unserved; }
  chain postrouting {
    type nat hook postrouting priority 100;
    ct status dnat ip saddr . ip daddr @hairpin4 masquerade
    ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade
  }`;

function frontendsOf(
  node: string,
  service: KubeService,
  slices: readonly EndpointSlice[],
): readonly Frontend[] {
  const { clusterIPs = [], ports = [], internalTrafficPolicy, sessionAffinity } = service.spec;
  const ips = clusterIPs.flatMap((text) => parseIp(text) ?? []);
  return ports.flatMap((port) => {
    const all = endpointsOf(service, port, slices).filter(
      ({ ready, nodeName }) => ready && (internalTrafficPolicy !== "Local" || nodeName === node),
    );
    return ips.map((ip) => ({
      chain: chainName(service, port, ip),
      ip,
      protocol: (port.protocol ?? "TCP").toLowerCase(),
      port: port.port,
      endpoints: all.filter((endpoint) => isIpv6Address(endpoint.ip) === isIpv6Address(ip)),
      affinity: sessionAffinity === "ClientIP",
    }));
  });
}

/** Unique by address and port; the name is for who reads `nft list ruleset`. */
function chainName(service: KubeService, port: KubeServicePort, ip: IpAddress): string {
  const { namespace = "default", name } = service.metadata;
  const protocol = (port.protocol ?? "TCP").toLowerCase();
  const text = `${ip}/${protocol}${port.port}/${namespace}/${name}`;
  return `svc-${text.replace(/[^A-Za-z0-9]/g, "_")}`.slice(0, NFT_NAME_MAX);
}

function frontendMap(name: string, type: string, frontends: readonly Frontend[]): string[] {
  const lines = frontends.map(
    (f) => `      ${f.ip} . ${f.protocol} . ${f.port} : goto ${f.chain},`,
  );
  return [
    `  map ${name} {`,
    `    type ${type} . inet_proto . inet_service : verdict`,
    ...(lines.length === 0 ? [] : ["    elements = {", ...lines, "    }"]),
    "  }",
  ];
}

function chainOf(frontend: Frontend): string {
  const { chain, protocol, endpoints, affinity, ip } = frontend;
  const family = isIpv6Address(ip) ? "ip6" : "ip";
  const choice = affinity ? `jhash ${family} saddr` : "numgen random";
  const targets = endpoints.map((e, i) => `${i} : ${e.ip} . ${e.port}`).join(", ");
  const to = `${choice} mod ${endpoints.length} map { ${targets} }`;
  return `  chain ${chain} { meta l4proto ${protocol} dnat ${family} to ${to}; }`;
}

function hairpinSets(frontends: readonly Frontend[]): string[] {
  const ips = [...new Set(frontends.flatMap((f) => f.endpoints.map((e) => e.ip)))];
  const set = (name: string, type: string, members: readonly IpAddress[]) => {
    const elements = members.map((ip) => `${ip} . ${ip}`).join(", ");
    const line = members.length === 0 ? "" : ` elements = { ${elements} }`;
    return `  set ${name} { type ${type} . ${type};${line} }`;
  };
  return [
    set(
      "hairpin4",
      "ipv4_addr",
      ips.filter((ip) => !isIpv6Address(ip)),
    ),
    set(
      "hairpin6",
      "ipv6_addr",
      ips.filter((ip) => isIpv6Address(ip)),
    ),
  ];
}
