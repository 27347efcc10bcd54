/**
 * A backend: how a waypoint treats the endpoints of one service. Who they are it knows from the
 * mesh's addresses; subsets name them by workload UID.
 */
import {
  boolean,
  integer,
  list,
  map,
  number,
  type Of,
  object,
  oneOf,
  optional,
  text,
} from "./shape.ts";

const milliseconds = integer(0);
const percent = number(0, 100);

/** What a consistent hash goes by. */
const hashKey = object({
  kind: oneOf("header", "cookie", "source-ip", "query-parameter"),
  /** Of the header, cookie or parameter; "" for `source-ip`. */
  name: text,
  /** Of a cookie that the waypoint sets where the client has none. */
  cookiePath: optional(text),
  cookieTtlSeconds: optional(integer(0)),
});

const loadBalancer = object({
  kind: oneOf("round-robin", "least-request", "random", "consistent-hash", "passthrough"),
  hash: optional(hashKey),
  /** Endpoints newer than this get a share that grows from `warmupMinimumPercent` to the whole. */
  warmupMs: optional(milliseconds),
  warmupMinimumPercent: optional(percent),
  /** Aggression of the growth; 1 is linear. */
  warmupAggression: optional(number(0, 100)),
  /** Regions to fail over to, by region; absent: as the service's own routing preference says. */
  localityFailover: optional(map(text)),
  localityWeights: optional(list(object({ from: text, to: map(integer(0, 100)) }))),
});

/** Source: Envoy's defaults, which are DestinationRule's. */
const connectionPool = object({
  maxConnections: optional(integer(0)),
  connectTimeoutMs: optional(milliseconds),
  /** Requests that wait for a connection; one more is answered with 503. */
  maxPendingRequests: optional(integer(0)),
  maxRequests: optional(integer(0)),
  /** Retries under way at a time. */
  maxRetries: optional(integer(0)),
  maxRequestsPerConnection: optional(integer(0)),
  idleTimeoutMs: optional(milliseconds),
  /** HTTP/2 upstream whatever the client speaks. */
  http2Upgrade: optional(boolean),
});

/** Source: DestinationRule outlierDetection, with its defaults filled in by istiod-lite. */
const outlierDetection = object({
  consecutive5xx: integer(0),
  consecutiveGatewayErrors: integer(0),
  consecutiveLocalOriginFailures: integer(0),
  /** Whether failures of our own (connect, timeout) are counted apart. */
  splitLocalOriginErrors: boolean,
  intervalMs: milliseconds,
  baseEjectionMs: milliseconds,
  maxEjectionPercent: percent,
  /** Below this share of healthy endpoints all of them are used (panic). */
  minHealthPercent: percent,
});

const clientTls = object({
  mode: oneOf("simple", "mutual"),
  sni: optional(text),
  /** PEM of who may sign the server's certificate; absent: the system's roots. */
  caCertificates: optional(text),
  /** One of them has to be in the server's certificate; empty: its host name. */
  subjectAltNames: list(text),
  insecureSkipVerify: boolean,
  /** PEM, for `mutual`. */
  certificateChain: optional(text),
  privateKey: optional(text),
});

export const trafficPolicy = object({
  loadBalancer: optional(loadBalancer),
  connectionPool: optional(connectionPool),
  outlierDetection: optional(outlierDetection),
  tls: optional(clientTls),
  proxyProtocol: optional(oneOf("v1", "v2")),
});
export type TrafficPolicy = Of<typeof trafficPolicy>;

export const backendConfig = object({
  kind: oneOf("backend"),
  namespace: text,
  hostname: text,
  /** Metrics and logs name it so. */
  serviceName: text,
  policy: trafficPolicy,
  /** By port; they replace `policy` as a whole there. */
  portPolicies: map(trafficPolicy),
  /** By name; an unknown name is answered with 503. `policy` replaces the backend's. */
  subsets: map(
    object({
      workloads: list(text),
      policy: trafficPolicy,
      /** By port; they replace the subset's `policy` there. */
      portPolicies: optional(map(trafficPolicy)),
    }),
  ),
});
export type BackendConfig = Of<typeof backendConfig>;
