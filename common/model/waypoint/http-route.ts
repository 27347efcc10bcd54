/**
 * HTTP routes as a waypoint gets them: Gateway API's HTTPRoute and GRPCRoute and Istio's
 * VirtualService in one form, with defaults filled in and names resolved by istiod-lite.
 */
import { boolean, integer, list, number, type Of, object, oneOf, optional, text } from "./shape.ts";

const percent = number(0, 100);
const status = integer(100, 599);
const milliseconds = integer(0);

/** How a text is compared; regular expressions match the whole text (RE2 syntax). */
export const stringMatch = object({
  kind: oneOf("exact", "prefix", "suffix", "regex", "presence"),
  /** "" for `presence`. */
  value: text,
  ignoreCase: optional(boolean),
});
export type StringMatch = Of<typeof stringMatch>;

export const pathMatch = object({
  /**
   * `path-prefix` goes by whole segments, as Gateway API's PathPrefix: /a matches /a and /a/b but
   * not /ab. `prefix` goes by characters, as Istio's.
   */
  kind: oneOf("exact", "path-prefix", "prefix", "regex"),
  value: text,
  ignoreCase: optional(boolean),
});

const namedMatch = object({
  /** Of a header: in lower case. */
  name: text,
  match: stringMatch,
  /** The request has to not match (VirtualService withoutHeaders). */
  invert: optional(boolean),
});

/** Everything that is given has to hold. */
export const httpMatch = object({
  path: optional(pathMatch),
  /** Of a GRPCRoute: `path` then says service and method, and only gRPC requests match. */
  grpc: optional(boolean),
  method: optional(stringMatch),
  authority: optional(stringMatch),
  scheme: optional(stringMatch),
  headers: list(namedMatch),
  queryParams: list(namedMatch),
  /** The caller's namespace has to be one of these; empty: any. */
  sourceNamespaces: list(text),
  /** The caller's workload has to carry these labels; istiod-lite names the workloads' UIDs. */
  sourceWorkloads: optional(list(text)),
});
export type HttpMatch = Of<typeof httpMatch>;

const nameValue = object({ name: text, value: text });

/** Applied in this order: remove, set, add. Names in lower case. */
export const headerModifier = object({
  set: list(nameValue),
  add: list(nameValue),
  remove: list(text),
});
export type HeaderModifier = Of<typeof headerModifier>;

export const pathRewrite = object({
  /**
   * `prefix` replaces what the match's prefix covered; `regex` replaces each match of `pattern`.
   */
  kind: oneOf("full", "prefix", "regex"),
  value: text,
  pattern: optional(text),
});

const rewrite = object({ authority: optional(text), path: optional(pathRewrite) });

const redirect = object({
  scheme: optional(text),
  hostname: optional(text),
  /** Absent: the scheme's own where `scheme` is given, else that of the listener. */
  port: optional(integer(1, 65_535)),
  path: optional(pathRewrite),
  status,
});

const directResponse = object({ status, body: text, headers: list(nameValue) });

/** Where requests go: a service's port, or one subset of it. The name of its backend resource. */
export const backendRef = object({
  namespace: text,
  hostname: text,
  port: integer(1, 65_535),
  subset: optional(text),
});
export type BackendRef = Of<typeof backendRef>;

/** A share of the requests. */
export const weightedBackend = object({
  /** Absent where the route names something that is not there or not allowed: answered with 500. */
  backend: optional(backendRef),
  /** Why it is absent, for the log. */
  invalid: optional(text),
  weight: integer(0, 1_000_000),
  requestHeaders: optional(headerModifier),
  responseHeaders: optional(headerModifier),
});
export type WeightedBackend = Of<typeof weightedBackend>;

const mirror = object({ backend: backendRef, percent });

export const cors = object({
  allowOrigins: list(stringMatch),
  allowMethods: list(text),
  allowHeaders: list(text),
  exposeHeaders: list(text),
  maxAgeSeconds: optional(integer(0)),
  allowCredentials: boolean,
});

const fault = object({
  delay: optional(object({ milliseconds, percent })),
  abort: optional(object({ status, grpcStatus: optional(integer(0, 16)), percent })),
});

/**
 * When another try may do better. Source: Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on, of
 * which Istio's `retryOn` is a list.
 */
export const RETRY_CONDITIONS = [
  ...(["5xx", "gateway-error", "reset", "reset-before-request", "connect-failure"] as const),
  ...(["retriable-4xx", "refused-stream", "retriable-status-codes", "cancelled"] as const),
  ...(["deadline-exceeded", "internal", "resource-exhausted", "unavailable"] as const),
] as const;

export const retry = object({
  /** Tries after the first. */
  attempts: integer(0, 100),
  conditions: list(oneOf(...RETRY_CONDITIONS)),
  /** For `retriable-status-codes`. */
  codes: list(status),
  perTryTimeoutMs: optional(milliseconds),
  /** Before the first try after the first; doubled for each further one, with jitter. */
  backoffMs: milliseconds,
  backoffMaxMs: milliseconds,
});
export type Retry = Of<typeof retry>;

/** A source object, as logs and the admin port name it. */
export const origin = object({
  kind: text,
  namespace: text,
  name: text,
  /** Index of the rule in it. */
  rule: integer(0),
  /** Of the rule, where it has one. */
  ruleName: optional(text),
});
export type Origin = Of<typeof origin>;

/** One rule: whatever request one of `matches` fits is treated so. */
export const httpRule = object({
  origin,
  /** One of them has to hold; empty: every request. */
  matches: list(httpMatch),
  /** Of a consumer route: only callers of this namespace, and before all that are not. */
  consumerNamespace: optional(text),
  requestHeaders: optional(headerModifier),
  responseHeaders: optional(headerModifier),
  rewrite: optional(rewrite),
  redirect: optional(redirect),
  directResponse: optional(directResponse),
  mirrors: list(mirror),
  cors: optional(cors),
  fault: optional(fault),
  /** Of the whole exchange, retries included; absent or 0: none. */
  timeoutMs: optional(milliseconds),
  retry: optional(retry),
  /** All weights 0, or none of them valid: answered with 500. */
  backends: list(weightedBackend),
});
export type HttpRule = Of<typeof httpRule>;

/** The rules of one port. */
export const httpRoutes = object({
  /**
   * `specificity`: the spec's precedence among matches decides, then the order here (oldest object
   * first, then by name, then by rule). `listed`: the first match in this order wins, as in a
   * VirtualService. Among a consumer's rules it is always `specificity`.
   */
  precedence: oneOf("specificity", "listed"),
  /** Callers without rules of their own go to the service itself. @default false: 404 */
  onlyConsumers: optional(boolean),
  rules: list(httpRule),
});
export type HttpRoutes = Of<typeof httpRoutes>;
