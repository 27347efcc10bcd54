/**
 * Endpoints that the mesh does not list because each connection says where it wants to go: services
 * that pass traffic through to the address that was asked for, and hosts with a wildcard. Pure.
 */
import { DEFAULT_TRUST_DOMAIN } from "#common/model/identity.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { Workload } from "#common/model/workload.ts";
import type { Downstream } from "../filter/stage.ts";
import type { RequestHead } from "../http/message.ts";

/** Where a connection wants to go: one of the two is "". */
export interface DynamicTarget {
  readonly ip: IpAddress | "";
  readonly hostname: string;
}

/** RFC 1123 2.1, in lower case. */
const HOSTNAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/**
 * Addresses that the control plane gave out for services without one: nobody answers there.
 * Source: Istio, PILOT_IP_AUTOALLOCATE_IPV4_PREFIX and -IPV6_PREFIX.
 */
const AUTO_ALLOCATED = ["240.240.", "2001:2:"];

/** Whether the endpoints of the backend are for each connection to say. */
export function isDynamic(service: Service, { loadBalancer }: TrafficPolicy): boolean {
  if (service.hostname.startsWith("*.")) return true;
  return service.loadBalancing?.mode === "passthrough" || loadBalancer?.kind === "passthrough";
}

/** Undefined where it does not say, or says something that is not the service's to give. */
export function dynamicTarget(
  service: Service,
  { destination, sni }: Downstream,
  head: RequestHead | undefined,
): DynamicTarget | undefined {
  const ip = parseIp(destination.host);
  const wildcard = service.hostname.startsWith("*.");
  if (ip !== undefined && !wildcard && !isAutoAllocated(ip)) return { ip, hostname: "" };
  if (!wildcard) return { ip: "", hostname: service.hostname };
  const asked = ip === undefined ? destination.host : (hostOf(head?.authority) ?? sni);
  const hostname = asked?.toLowerCase() ?? "";
  const below = hostname.endsWith(service.hostname.slice(1));
  return below && HOSTNAME.test(hostname) ? { ip: "", hostname } : undefined;
}

/** A record for what the mesh knows nothing of but that the service may be there. */
export function dynamicWorkload(service: Service, { ip, hostname }: DynamicTarget): Workload {
  const { namespace } = service;
  const name = ip === "" ? hostname : ip;
  return {
    uid: `dynamic//${namespace}/${service.hostname}/${name}`,
    name,
    namespace,
    addresses: ip === "" ? [] : [ip],
    hostname,
    network: "",
    tunnelProtocol: "none",
    trustDomain: DEFAULT_TRUST_DOMAIN,
    serviceAccount: "",
    node: "",
    canonicalName: service.name,
    canonicalRevision: "latest",
    workloadType: "pod",
    workloadName: service.name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: "healthy",
    clusterId: "",
    locality: { region: "", zone: "", subzone: "" },
    networkMode: "standard",
    capacity: 1,
  };
}

function isAutoAllocated(ip: IpAddress): boolean {
  return AUTO_ALLOCATED.some((prefix) => ip.startsWith(prefix));
}

function hostOf(authority: string | undefined): string | undefined {
  return authority?.replace(/:\d*$/, "");
}
