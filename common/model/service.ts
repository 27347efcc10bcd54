/**
 * A service: a name and addresses in front of workloads. Its endpoints are the workloads that list
 * it.
 */
import type { GatewayAddress, ServiceAddress } from "./address.ts";

export type AppProtocol = "unknown" | "http11" | "http2" | "grpc" | "tcp" | "tls";

export interface ServicePort {
  readonly servicePort: number;
  /** 0 on a Service means a named port: each endpoint then says its own. */
  readonly targetPort: number;
  readonly appProtocol: AppProtocol;
}

export type RoutingScope =
  | "unspecified"
  | "region"
  | "zone"
  | "subzone"
  | "node"
  | "cluster"
  | "network";
export type LoadBalancingMode = "unspecified" | "strict" | "failover" | "passthrough";
export type HealthPolicy = "only-healthy" | "allow-all";

export interface LoadBalancing {
  readonly routingPreference: readonly RoutingScope[];
  readonly mode: LoadBalancingMode;
  readonly healthPolicy: HealthPolicy;
}

export type IpFamilies = "automatic" | "ipv4-only" | "ipv6-only" | "dual";
export type Visibility = "public" | "namespace";

export interface WeightedWaypoint {
  readonly destination: GatewayAddress;
  readonly weight: number;
}

/**
 * The service that stands for all that no object describes, where `outboundTrafficPolicy` is
 * REGISTRY_ONLY: it has every address that is nobody's, and no endpoint. Source: Istio's cluster of
 * that name.
 */
export const BLACK_HOLE = "BlackHoleCluster";

export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses: readonly ServiceAddress[];
  readonly ports: readonly ServicePort[];
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress;
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  readonly loadBalancing?: LoadBalancing;
  readonly ipFamilies: IpFamilies;
  readonly canonical: boolean;
  readonly ingressUseWaypoint: boolean;
  readonly visibility: Visibility;
  /** Why nobody is connected to it, as `Workload.unusable`. */
  readonly unusable?: string;
}
