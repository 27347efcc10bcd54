/** Kubernetes Service to mesh Service. */
import type { KubeService, Namespace } from "#common/kubernetes/objects.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import type { IpFamilies, Service, Visibility } from "#common/model/service.ts";
import { loadBalancingOf } from "./load-balancing.ts";
import { declaredPort, tcpPorts } from "./service-ports.ts";
import { type Binding, waypointFields } from "./waypoints/binding.ts";

/** `<name>.<namespace>.svc.<domain>`. */
export function serviceHostname(service: KubeService, clusterDomain: string): string {
  const { name, namespace = "default" } = service.metadata;
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/** ExternalName services are DNS aliases: the mesh does not describe them (ambient.md F31). */
export function isMeshService(service: KubeService): boolean {
  return service.spec.type !== "ExternalName";
}

/** The cluster's addresses of the service; a headless one has none: its clients dial pods. */
export function clusterIps(service: KubeService): readonly IpAddress[] {
  const { clusterIP, clusterIPs } = service.spec;
  const texts = clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]);
  return [...new Set(texts.flatMap((text) => parseIp(text) ?? []))];
}

/** What a service takes from elsewhere. */
export interface ServiceStanding {
  /** Those of its addresses that are not another's. */
  readonly ips: readonly IpAddress[];
  readonly visibility: Visibility;
  readonly namespace: Namespace | undefined;
  readonly binding: Binding;
}

export function serviceResource(
  service: KubeService,
  clusterDomain: string,
  standing: ServiceStanding,
): Service {
  const { spec, metadata } = service;
  const loadBalancing = loadBalancingOf(service, standing.namespace);
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    hostname: serviceHostname(service, clusterDomain),
    addresses: standing.ips.map((ip) => ({ network: "", ip })),
    ports: tcpPorts(service).map(declaredPort),
    subjectAltNames: [],
    ...waypointFields(standing.binding),
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: ipFamiliesOf(spec.ipFamilies ?? []),
    // Of several services with one hostname, the one Kubernetes made is canonical (ambient.md F35).
    canonical: true,
    visibility: standing.visibility,
  };
}

function ipFamiliesOf(families: readonly ("IPv4" | "IPv6")[]): IpFamilies {
  const v4 = families.includes("IPv4");
  const v6 = families.includes("IPv6");
  if (v4 && v6) return "dual";
  if (v4) return "ipv4-only";
  return v6 ? "ipv6-only" : "automatic";
}
