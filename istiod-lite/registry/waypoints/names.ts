/**
 * The labels, annotations and names by which objects and waypoints find each other. Sources:
 * istio/api label/labels.yaml and annotation/annotations.yaml, Gateway API's GEP-1762, Istio's
 * waypoint template; those of `OUR_` are this project's own.
 */

export const USE_WAYPOINT = "istio.io/use-waypoint";
export const USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace";
export const USE_CANARY = "istio.io/use-waypoint-canary";
export const USE_CANARY_NAMESPACE = "istio.io/use-waypoint-canary-namespace";
export const CANARY_WEIGHT = "istio.io/use-waypoint-canary-weight";
export const INGRESS_USE_WAYPOINT = "istio.io/ingress-use-waypoint";
export const WAYPOINT_FOR = "istio.io/waypoint-for";
export const REVISION = "istio.io/rev";

/** What becomes of traffic whose waypoint is not there: `fail-open` or `fail-closed`. */
export const OUR_UNAVAILABLE = "ambient.istio.io/waypoint-unavailable";
/** "true": the destination refuses whatever did not pass its waypoint. */
export const OUR_ENFORCE = "ambient.istio.io/enforce-waypoint";

export const WAYPOINT_CLASS = "istio-waypoint";
/** Of every GatewayClass whose Gateways this control plane runs as waypoints. */
export const WAYPOINT_CONTROLLER = "istio.io/mesh-controller";

export const GATEWAY_CLASS_LABEL = "gateway.networking.k8s.io/gateway-class-name";
export const MANAGED_LABEL = "gateway.istio.io/managed";
export const MANAGED_BY_US = "istio.io-mesh-controller";
/** Of a ConfigMap of the root namespace: what it sets holds for every Gateway of the class. */
export const CLASS_DEFAULTS_LABEL = "gateway.istio.io/defaults-for-class";
export const NAME_OVERRIDE = "gateway.istio.io/name-override";
export const SERVICE_ACCOUNT_OVERRIDE = "gateway.istio.io/service-account";
export const SERVICE_TYPE = "networking.istio.io/service-type";

/** The condition that says what became of `istio.io/use-waypoint`. Source: pilot/pkg/model. */
export const WAYPOINT_BOUND = "istio.io/WaypointBound";
