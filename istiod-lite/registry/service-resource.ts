/** Kubernetes Service to mesh Service. */
import type { KubeService } from "#common/kubernetes/objects.ts";
import { parseIp } from "#common/model/ip.ts";
import type {
  IpFamilies,
  LoadBalancing,
  LoadBalancingMode,
  RoutingScope,
  Service,
} from "#common/model/service.ts";
import { declaredPort, tcpPorts } from "./service-ports.ts";

/** `<name>.<namespace>.svc.<domain>`. */
export function serviceHostname(service: KubeService, clusterDomain: string): string {
  const { name, namespace = "default" } = service.metadata;
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/** ExternalName services are DNS aliases: the mesh does not describe them (ambient.md F31). */
export function isMeshService(service: KubeService): boolean {
  return service.spec.type !== "ExternalName";
}

/** A headless service has no addresses; its clients dial pods. */
export function serviceResource(service: KubeService, clusterDomain: string): Service {
  const { spec, metadata } = service;
  const loadBalancing = loadBalancingOf(service);
  const vips = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? "default",
    hostname: serviceHostname(service, clusterDomain),
    addresses: [...new Set(vips.flatMap((text) => parseIp(text) ?? []))].map((ip) => ({
      network: "",
      ip,
    })),
    ports: tcpPorts(service).map(declaredPort),
    subjectAltNames: [],
    weightedWaypoints: [],
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: ipFamiliesOf(spec.ipFamilies ?? []),
    // Of several services with one hostname, the one Kubernetes made is canonical (ambient.md F35).
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "public",
  };
}

function ipFamiliesOf(families: readonly ("IPv4" | "IPv6")[]): IpFamilies {
  const v4 = families.includes("IPv4");
  const v6 = families.includes("IPv6");
  if (v4 && v6) return "dual";
  if (v4) return "ipv4-only";
  return v6 ? "ipv6-only" : "automatic";
}

/**
 * Always a fresh object: upstream once marked a shared preset ALLOW_ALL, and every service with the
 * same preference routed to unready pods (ambient.md section 3, istio/istio#60422).
 */
function loadBalancingOf(service: KubeService): LoadBalancing | undefined {
  const { mode, routingPreference } = preferenceOf(service);
  const healthPolicy =
    service.spec.publishNotReadyAddresses === true ? "allow-all" : "only-healthy";
  if (mode === "unspecified" && healthPolicy === "only-healthy") return undefined;
  return { mode, routingPreference, healthPolicy };
}

/** Source: ambient.md F28 (istio/istio serviceregistry/ambient/services.go). */
function preferenceOf(service: KubeService): {
  mode: LoadBalancingMode;
  routingPreference: RoutingScope[];
} {
  const { spec, metadata } = service;
  if (spec.internalTrafficPolicy === "Local")
    return { mode: "strict", routingPreference: ["node"] };
  const annotation = metadata.annotations?.["networking.istio.io/traffic-distribution"];
  switch ((spec.trafficDistribution ?? annotation ?? "").toLowerCase()) {
    case "preferclose":
    case "prefersamezone":
      return { mode: "failover", routingPreference: ["network", "region", "zone"] };
    case "prefersamenode":
      return {
        mode: "failover",
        routingPreference: ["network", "region", "zone", "subzone", "node"],
      };
    default:
      return { mode: "unspecified", routingPreference: [] };
  }
}
