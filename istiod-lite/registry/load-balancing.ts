/** How the endpoints of a service are chosen: what its object and its namespace say about it. */
import type { KubeService, Namespace, ObjectMeta } from "#common/kubernetes/objects.ts";
import type { LoadBalancing, LoadBalancingMode, RoutingScope } from "#common/model/service.ts";

// Source: istio/api annotation/annotations.yaml.
export const TRAFFIC_DISTRIBUTION_ANNOTATION = "networking.istio.io/traffic-distribution";

type Preference = Pick<LoadBalancing, "mode" | "routingPreference">;

/**
 * Undefined where nothing is said. Always a fresh object: upstream once marked a shared preset
 * ALLOW_ALL, and every service with the same preference routed to unready pods (ambient.md section
 * 3, istio/istio#60422).
 */
export function loadBalancingOf(
  service: KubeService,
  namespace: Namespace | undefined,
): LoadBalancing | undefined {
  const { spec, metadata } = service;
  const { mode, routingPreference } =
    spec.internalTrafficPolicy === "Local"
      ? preference("strict", ["node"])
      : trafficDistribution(spec.trafficDistribution, metadata, namespace);
  const healthPolicy = spec.publishNotReadyAddresses === true ? "allow-all" : "only-healthy";
  if (mode === "unspecified" && healthPolicy === "only-healthy") return undefined;
  return { mode, routingPreference, healthPolicy };
}

/** The same for a ServiceEntry, which has the annotation only. */
export function entryLoadBalancing(
  metadata: ObjectMeta,
  namespace: Namespace | undefined,
): LoadBalancing | undefined {
  const { mode, routingPreference } = trafficDistribution(undefined, metadata, namespace);
  if (mode === "unspecified") return undefined;
  return { mode, routingPreference, healthPolicy: "only-healthy" };
}

/**
 * The field, else the object's annotation, else its namespace's. Source: ambient.md F28
 * (istio/istio serviceregistry/ambient/services.go, model.GetTrafficDistribution).
 */
function trafficDistribution(
  field: string | undefined,
  metadata: ObjectMeta,
  namespace: Namespace | undefined,
): Preference {
  const said = [
    field,
    metadata.annotations?.[TRAFFIC_DISTRIBUTION_ANNOTATION],
    namespace?.metadata.annotations?.[TRAFFIC_DISTRIBUTION_ANNOTATION],
  ];
  switch (said.find((value) => value !== undefined)?.toLowerCase()) {
    case "preferclose":
    case "prefersamezone":
      return preference("failover", ["network", "region", "zone"]);
    case "prefersamenode":
      return preference("failover", ["network", "region", "zone", "subzone", "node"]);
    default:
      return preference("unspecified", []);
  }
}

function preference(mode: LoadBalancingMode, routingPreference: RoutingScope[]): Preference {
  return { mode, routingPreference };
}
