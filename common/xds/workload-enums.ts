/**
 * The enums of istio.workload, in wire order: a name's index is its number.
 * Source of the numbers: istio/ztunnel proto/workload.proto at 62d82653.
 */
import type {
  AppProtocol,
  HealthPolicy,
  IpFamilies,
  LoadBalancingMode,
  RoutingScope,
  Visibility,
} from "#common/model/service.ts";
import type {
  NetworkMode,
  TunnelProtocol,
  WorkloadStatus,
  WorkloadType,
} from "#common/model/workload.ts";

type NonEmpty<Name> = readonly [Name, ...Name[]];

/** LEGACY_ISTIO_MTLS (2) is left out on purpose: like ztunnel, we refuse such a workload. */
export const TUNNEL_PROTOCOLS: NonEmpty<TunnelProtocol> = ["none", "hbone"];
export const WORKLOAD_TYPES: readonly WorkloadType[] = ["deployment", "cronjob", "pod", "job"];
export const WORKLOAD_STATUSES: readonly WorkloadStatus[] = ["healthy", "unhealthy"];
export const NETWORK_MODES: NonEmpty<NetworkMode> = ["standard", "host-network"];
export const APPLICATION_TUNNELS: NonEmpty<"none" | "proxy"> = ["none", "proxy"];
export const HEALTH_POLICIES: readonly HealthPolicy[] = ["only-healthy", "allow-all"];
export const VISIBILITIES: readonly Visibility[] = ["public", "namespace"];
export const IP_FAMILIES: readonly IpFamilies[] = ["automatic", "ipv4-only", "ipv6-only", "dual"];
export const APP_PROTOCOLS: readonly AppProtocol[] = [
  "unknown",
  "http11",
  "http2",
  "grpc",
  "tcp",
  "tls",
];
export const ROUTING_SCOPES: NonEmpty<RoutingScope> = [
  "unspecified",
  "region",
  "zone",
  "subzone",
  "node",
  "cluster",
  "network",
];
export const LOAD_BALANCING_MODES: NonEmpty<LoadBalancingMode> = [
  "unspecified",
  "strict",
  "failover",
  "passthrough",
];
