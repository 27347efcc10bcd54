/**
 * What istiod-lite tells a waypoint, one resource at a time, validated and bound: the gateway
 * itself, each service that it serves, each backend that its routes lead to.
 */
import { backendConfig } from "./backend.ts";
import { backendRef, httpRoutes, origin } from "./http-route.ts";
import { l7Policies, telemetry } from "./policy.ts";
import { boolean, integer, list, type Of, object, oneOf, optional, text, union } from "./shape.ts";

const port = integer(1, 65_535);

/** What holds for all traffic of the waypoint. */
export const gatewayConfig = object({
  kind: oneOf("gateway"),
  namespace: text,
  name: text,
  policies: l7Policies,
  telemetry,
  /** Whether upstreams are told of the client in x-forwarded-client-cert. */
  forwardClientCert: boolean,
  /** MeshConfig.pathNormalization. @default "base" */
  pathNormalization: optional(oneOf("none", "base", "merge-slashes", "decode-and-merge-slashes")),
});
export type GatewayConfig = Of<typeof gatewayConfig>;

/** By weight to one of the backends; none valid: refused. */
const l4Backends = list(
  object({ backend: optional(backendRef), invalid: optional(text), weight: integer(0) }),
);

/**
 * Of a consumer route: only callers of this namespace, for whom the rules without one, of either
 * list, are none.
 */
const consumerNamespace = optional(text);

/** Connections whose TLS client hello names one of `sni` (`*.a.b` matches below a.b). */
const tlsRule = object({ origin, consumerNamespace, sni: list(text), backends: l4Backends });
const tcpRule = object({ origin, consumerNamespace, backends: l4Backends });
export type TlsRule = Of<typeof tlsRule>;
export type TcpRule = Of<typeof tcpRule>;

/** One port of a service. */
export const portConfig = object({
  port,
  /** `auto`: the first bytes decide between HTTP/1.1, HTTP/2 and TCP. */
  protocol: oneOf("auto", "http", "http2", "grpc", "tcp", "tls"),
  /** Absent: requests go to the service itself. */
  http: optional(httpRoutes),
  /** The first that matches. */
  tls: optional(list(tlsRule)),
  /** What no `tls` takes: the first; absent or none: to the service itself. */
  tcp: optional(list(tcpRule)),
});
export type PortConfig = Of<typeof portConfig>;

/** A service whose traffic passes the waypoint. */
export const serviceConfig = object({
  kind: oneOf("service"),
  namespace: text,
  hostname: text,
  /** Of the object, for metrics. */
  serviceName: text,
  /** VIPs and blocks (CIDR) under which it is asked for. */
  addresses: list(text),
  ports: list(portConfig),
  policies: l7Policies,
  telemetry: optional(telemetry),
});
export type ServiceConfig = Of<typeof serviceConfig>;

export const waypointResource = union({
  gateway: gatewayConfig,
  service: serviceConfig,
  backend: backendConfig,
});
export type WaypointResource = Of<typeof waypointResource>;

/** The xDS name of a resource of the waypoint `<namespace>/<name>`. */
export function waypointResourceName(waypoint: string, resource: WaypointResource): string {
  if (resource.kind === "gateway") return `${waypoint}/gateway`;
  return `${waypoint}/${resource.kind}/${resource.namespace}/${resource.hostname}`;
}
