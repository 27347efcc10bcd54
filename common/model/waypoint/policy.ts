/**
 * What a waypoint asks of a request before it is routed: Istio's RequestAuthentication and
 * AuthorizationPolicy, and rate limits of our own.
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

/** Where a token may be. Tried in the order header, parameter, cookie. */
const tokenLocation = object({
  kind: oneOf("header", "query-parameter", "cookie"),
  name: text,
  /** Of a header, to be taken off: "Bearer ". */
  prefix: optional(text),
});

export const jwtRule = object({
  issuer: text,
  /** One of them has to be in `aud`; empty: any audience. */
  audiences: list(text),
  /** The key set itself, as JSON; else `jwksUri` says where it is. */
  jwks: optional(text),
  jwksUri: optional(text),
  /** Empty: `Authorization: Bearer` and the parameter `access_token`. */
  locations: list(tokenLocation),
  outputPayloadToHeader: optional(text),
  outputClaimToHeaders: list(object({ claim: text, header: text })),
  /** Whether the upstream gets the token too. */
  forwardOriginalToken: boolean,
  timeoutMs: optional(milliseconds),
});
export type JwtRule = Of<typeof jwtRule>;

export const requestAuthentication = object({ key: text, rules: list(jwtRule) });
export type RequestAuthentication = Of<typeof requestAuthentication>;

/**
 * The values of each field are OR'd, the fields AND'd; a hit on a `not` value fails. Values are as
 * Istio writes them: `a`, `a*`, `*a`, `*` (present); path templates `{*}`, `{**}`; CIDRs.
 */
const values = optional(list(text));

const source = object({
  principals: values,
  notPrincipals: values,
  namespaces: values,
  notNamespaces: values,
  serviceAccounts: values,
  notServiceAccounts: values,
  ipBlocks: values,
  notIpBlocks: values,
  remoteIpBlocks: values,
  notRemoteIpBlocks: values,
  requestPrincipals: values,
  notRequestPrincipals: values,
});

const operation = object({
  hosts: values,
  notHosts: values,
  ports: values,
  notPorts: values,
  methods: values,
  notMethods: values,
  paths: values,
  notPaths: values,
});

const condition = object({ key: text, values, notValues: values });

/** Sources are OR'd, operations OR'd, conditions AND'd; the three AND'd. Empty lists hold. */
export const l7Rule = object({
  from: list(source),
  to: list(operation),
  when: list(condition),
});
export type L7Rule = Of<typeof l7Rule>;

/** An external authorizer. Source: MeshConfig.extensionProviders, envoyExtAuthzHttp and -Grpc. */
const extAuthz = object({
  protocol: oneOf("http", "grpc"),
  namespace: text,
  hostname: text,
  port: integer(1, 65_535),
  timeoutMs: milliseconds,
  /** Requests pass while it cannot be asked. @default false */
  failOpen: boolean,
  statusOnError: integer(100, 599),
  pathPrefix: optional(text),
  includeRequestHeaders: list(text),
  includeAdditionalHeaders: map(text),
  headersToUpstreamOnAllow: list(text),
  headersToDownstreamOnDeny: list(text),
  headersToDownstreamOnAllow: list(text),
  maxRequestBytes: integer(0, 10_485_760),
  allowPartialMessage: boolean,
});
export type ExtAuthzProvider = Of<typeof extAuthz>;

export const l7Authorization = object({
  /** `<namespace>/<name>`. */
  key: text,
  action: oneOf("allow", "deny", "audit", "custom"),
  dryRun: boolean,
  rules: list(l7Rule),
  /** Of `custom`; absent where its provider is not known: then whatever matches is denied. */
  provider: optional(extAuthz),
});
export type L7Authorization = Of<typeof l7Authorization>;

/** What requests are counted apart by. */
const descriptor = object({
  kind: oneOf("identity", "header", "claim", "source-ip", "path", "method", "constant"),
  /** Of the header or claim; the value of a constant; else "". */
  name: text,
});

export const rateLimit = object({
  /** `<namespace>/<name>` of the RateLimitPolicy, with the index of the limit: `shop/api[0]`. */
  key: text,
  /** Only requests that a rule of one of these routes takes; absent: all. */
  routes: optional(
    list(object({ kind: oneOf("HTTPRoute", "GRPCRoute"), namespace: text, name: text })),
  ),
  /** Only requests that one of these fits; empty: all. Header names in lower case. */
  matches: list(
    object({
      pathPrefix: optional(text),
      methods: list(text),
      headers: list(object({ name: text, value: text })),
    }),
  ),
  descriptors: list(descriptor),
  /** A token bucket in this proxy. */
  local: optional(object({ requests: integer(1), perMs: integer(1), burst: integer(1) })),
  /** Envoy's rate-limit service, envoy.service.ratelimit.v3. */
  global: optional(
    object({
      namespace: text,
      hostname: text,
      port: integer(1, 65_535),
      domain: text,
      timeoutMs: milliseconds,
      /** Requests pass while it cannot be asked. @default false */
      failOpen: boolean,
    }),
  ),
});
export type RateLimit = Of<typeof rateLimit>;

/** What is attached at one place. */
export const l7Policies = object({
  requestAuthentications: list(requestAuthentication),
  authorizations: list(l7Authorization),
  rateLimits: list(rateLimit),
});
export type L7Policies = Of<typeof l7Policies>;

/** Source: Istio's Telemetry API, resolved for one gateway or service. */
export const telemetry = object({
  accessLog: object({
    enabled: boolean,
    format: oneOf("text", "json"),
    /** CEL subset: `response.code >= 400`; absent: every request. */
    filter: optional(object({ minimumStatus: integer(100, 599) })),
  }),
  metrics: object({
    enabled: boolean,
    /** Labels that are left out. */
    removedLabels: list(text),
  }),
  tracing: optional(
    object({
      samplingPercent: number(0, 100),
      protocol: oneOf("grpc", "http"),
      namespace: text,
      hostname: text,
      port: integer(1, 65_535),
      customTags: map(object({ kind: oneOf("literal", "header"), value: text })),
    }),
  ),
});
export type Telemetry = Of<typeof telemetry>;
