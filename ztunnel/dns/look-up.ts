/**
 * What the mesh knows of a name, for one client: pure. Undefined means that it does not know the
 * name, or not all of it, and a real name server has to be asked. Source: ambient.md F55 to F59.
 */

import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { type IpAddress, isIpv6Address } from "#common/model/ip.ts";
import type { Service } from "#common/model/service.ts";
import { type Alias, aliasesOf, withoutSuffix } from "./aliases.ts";
import type { NameAnswer } from "./answer.ts";
import type { AddressQuery } from "./message.ts";

export interface LookUpOptions {
  /** The cluster's domain, as labels. */
  readonly clusterDomain: readonly string[];
  /** False: no IPv6 address is given out (IPV6_ENABLED). */
  readonly ipv6: boolean;
  /** Whether all endpoints of a service are known; with on-demand xDS they are not. */
  readonly knowsAllEndpoints: boolean;
}

/** Who asks. */
export interface DnsClient {
  readonly namespace: string;
  readonly network: string;
  readonly searchDomains: readonly (readonly string[])[];
}

type Question = Pick<AddressQuery, "labels" | "family">;

export function lookUp(
  state: ProxyState,
  { labels, family }: Question,
  client: DnsClient,
  options: LookUpOptions,
): NameAnswer | undefined {
  const maybePod = mayBePodName(state, labels, client, options);
  const { namespace: clientNamespace, searchDomains } = client;
  const { clusterDomain } = options;
  for (const alias of aliasesOf(labels, { clientNamespace, clusterDomain, searchDomains })) {
    if (alias.strippedLabels !== undefined && maybePod) continue;
    const found = findService(state, alias, client, options);
    if (found === undefined) continue;
    const addresses = addressesOf(state, found.service, client, options);
    // A headless service without endpoints: whether its name exists only its name server knows.
    if (addresses === undefined) return undefined;
    return {
      addresses: addresses.filter((ip) => isAskedFor(ip, family, found.service, options)),
      strippedLabels: found.wildcard ? undefined : alias.strippedLabels,
    };
  }
  return undefined;
}

/**
 * Whether the name may be that of a pod of a headless service, `pod.service.namespace.svc.…`: such
 * names the mesh does not know. Without a service of that name it is a short name to which the
 * client has added a search domain.
 */
function mayBePodName(
  state: ProxyState,
  labels: readonly string[],
  client: DnsClient,
  { clusterDomain }: LookUpOptions,
): boolean {
  const inCluster = withoutSuffix(labels, ["svc", ...clusterDomain]);
  if (inCluster?.length !== 3) return false;
  return state.findServiceByHostname(labels.slice(1).join("."), client.namespace) !== undefined;
}

/** By the name itself, then by wildcards, the longest first. */
function findService(
  state: ProxyState,
  { labels }: Alias,
  client: DnsClient,
  options: LookUpOptions,
): { readonly service: Service; readonly wildcard: boolean } | undefined {
  const exact = findByName(state, labels.join("."), client, options);
  if (exact !== undefined) return { service: exact, wildcard: false };
  for (let i = 1; i < labels.length; i++) {
    const service = findByName(state, `*.${labels.slice(i).join(".")}`, client, options);
    if (service !== undefined) return { service, wildcard: true };
  }
  return undefined;
}

/**
 * Services without an address of their own have none to give out, except Kubernetes' headless ones:
 * the clients of those get their endpoints.
 */
function findByName(
  state: ProxyState,
  hostname: string,
  client: DnsClient,
  options: LookUpOptions,
): Service | undefined {
  return state.findServiceByHostname(
    hostname,
    client.namespace,
    (service) => hasAddress(service) || isHeadless(service, options),
  );
}

function hasAddress(service: Service): boolean {
  return service.addresses.some(({ cidr }) => cidr === undefined);
}

function isHeadless(service: Service, { clusterDomain }: LookUpOptions): boolean {
  return (
    service.addresses.length === 0 &&
    service.hostname.toLowerCase().endsWith(`.svc.${clusterDomain.join(".")}`)
  );
}

/** Every address of both families that the client can reach; undefined where nothing is known. */
function addressesOf(
  state: ProxyState,
  service: Service,
  client: DnsClient,
  options: LookUpOptions,
): readonly IpAddress[] | undefined {
  if (hasAddress(service)) {
    return service.addresses
      .filter(({ cidr, network }) => cidr === undefined && network === client.network)
      .map(({ ip }) => ip);
  }
  if (!options.knowsAllEndpoints) return undefined;
  const everybody = service.loadBalancing?.healthPolicy === "allow-all";
  const addresses: IpAddress[] = [];
  for (const { status, network, addresses: own } of state.endpointsOf(service).workloads.values()) {
    if (network !== client.network || !(everybody || status === "healthy")) continue;
    const first = (ipv6: boolean) => own.find((ip) => isIpv6Address(ip) === ipv6);
    for (const ip of [first(false), first(true)]) if (ip !== undefined) addresses.push(ip);
  }
  return addresses.length === 0 ? undefined : addresses;
}

/**
 * Of the family that was asked for, where the service is of that family: a pod behind a service of
 * one family may have addresses of both.
 */
function isAskedFor(
  ip: IpAddress,
  family: Question["family"],
  service: Service,
  options: LookUpOptions,
): boolean {
  const isIpv6 = isIpv6Address(ip);
  if (isIpv6 !== (family === "ipv6") || (isIpv6 && !options.ipv6)) return false;
  return service.ipFamilies !== (isIpv6 ? "ipv4-only" : "ipv6-only");
}
