/**
 * The parts of Istio's mesh configuration that are followed: `data.mesh` of the ConfigMap
 * `istio` in the root namespace. Source: istio/api mesh/v1alpha1/config.proto.
 */

import { parse } from "yaml";
import { parseIstioDurationMs } from "#common/kubernetes/istio-duration.ts";
import type { ConfigMap } from "#common/kubernetes/objects.ts";
import type { ExtAuthzProvider, Telemetry } from "#common/model/waypoint/policy.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import type { MeshSettings } from "../waypoints/contributions.ts";

export const MESH_CONFIG_MAP = "istio";

/** Where spans go. */
export type TracingProvider = Pick<
  NonNullable<Telemetry["tracing"]>,
  "protocol" | "namespace" | "hostname" | "port"
>;

export interface MeshConfig {
  readonly authorizers: ReadonlyMap<string, ExtAuthzProvider>;
  readonly tracers: ReadonlyMap<string, TracingProvider>;
  /** Of traces, where no Telemetry names one. */
  readonly defaultTracer: string | undefined;
  /** Undefined where `accessLogFile` is not given. */
  readonly accessLog: boolean | undefined;
  readonly accessLogFormat: "text" | "json";
  /** What is not given is absent. */
  readonly settings: MeshSettings;
  /** Why a part, or all of it, is not in force. */
  readonly problems: readonly string[];
}

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  authorizers: new Map(),
  tracers: new Map(),
  defaultTracer: undefined,
  accessLog: undefined,
  accessLogFormat: "text",
  settings: {},
  problems: [],
};

const UNREADABLE: MeshConfig = {
  ...DEFAULT_MESH_CONFIG,
  settings: { outboundTraffic: "unreadable" },
};

/** Istio's defaults for external authorizers: ten minutes. */
const CHECK_TIMEOUT_MS = 600_000;
const STATUS_ON_ERROR = 403;
/** As much of a body as an authorizer is ever sent. */
const MAX_REQUEST_BYTES = 10_485_760;

type Json = Readonly<Record<string, unknown>>;

/** What cannot be read is left out, and told; nothing throws. */
export function readMeshConfig(map: ConfigMap | undefined): MeshConfig {
  const text = map?.data?.mesh ?? "";
  if (text === "") return DEFAULT_MESH_CONFIG;
  let config: unknown;
  try {
    config = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return { ...UNREADABLE, problems: [`data.mesh is no YAML: ${why}`] };
  }
  if (!isJsonObject(config)) return { ...UNREADABLE, problems: ["data.mesh is no map"] };
  return fromConfig(config);
}

function fromConfig(config: Json): MeshConfig {
  const authorizers = new Map<string, ExtAuthzProvider>();
  const tracers = new Map<string, TracingProvider>();
  const problems: string[] = [];
  for (const [i, provider] of listOf(config.extensionProviders).entries()) {
    const { name } = isJsonObject(provider) ? provider : {};
    if (!isJsonObject(provider) || typeof name !== "string") {
      problems.push(`extensionProviders[${i}] has no name`);
      continue;
    }
    const authorizer = authorizerOf(provider);
    const tracer = tracerOf(provider.opentelemetry);
    if (authorizer !== undefined) authorizers.set(name, authorizer);
    else if (tracer !== undefined) tracers.set(name, tracer);
    else problems.push(`extensionProviders[${i}] (${name}) is of no kind that waypoints know`);
  }
  const { accessLogFile, accessLogEncoding, defaultProviders } = config;
  const [defaultTracer] = isJsonObject(defaultProviders) ? listOf(defaultProviders.tracing) : [];
  return {
    authorizers,
    tracers,
    defaultTracer: typeof defaultTracer === "string" ? defaultTracer : undefined,
    accessLog: typeof accessLogFile === "string" ? accessLogFile !== "" : undefined,
    accessLogFormat: accessLogEncoding === "JSON" ? "json" : "text",
    settings: settingsOf(config, problems),
    problems,
  };
}

const OUTBOUND = { ALLOW_ANY: "allow-any", REGISTRY_ONLY: "registry-only" } as const;
const NORMALIZATIONS = {
  DEFAULT: "base",
  NONE: "none",
  BASE: "base",
  MERGE_SLASHES: "merge-slashes",
  DECODE_AND_MERGE_SLASHES: "decode-and-merge-slashes",
} as const;

function settingsOf(config: Json, problems: string[]): MeshSettings {
  const chosen = <V extends string>(field: string, key: string, known: Record<string, V>) => {
    const given = config[field];
    const value = isJsonObject(given) ? given[key] : undefined;
    if (value === undefined) return undefined;
    if (typeof value === "string" && Object.hasOwn(known, value)) return known[value];
    problems.push(`${field}.${key} is none of ${Object.keys(known).join(", ")}`);
    return undefined;
  };
  const known = problems.length;
  const mode = chosen("outboundTrafficPolicy", "mode", OUTBOUND);
  const outboundTraffic = problems.length > known ? "unreadable" : mode;
  const pathNormalization = chosen("pathNormalization", "normalization", NORMALIZATIONS);
  return {
    ...(outboundTraffic && { outboundTraffic }),
    ...(pathNormalization && { pathNormalization }),
  };
}

function authorizerOf({ envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc }: Json) {
  const given = isJsonObject(http) ? http : grpc;
  const address = addressOf(given);
  if (!isJsonObject(given) || address === undefined) return undefined;
  const body = isJsonObject(given.includeRequestBodyInCheck) ? given.includeRequestBodyInCheck : {};
  const { pathPrefix, includeRequestHeadersInCheck, includeHeadersInCheck } = given;
  const provider: ExtAuthzProvider = {
    protocol: isJsonObject(http) ? "http" : "grpc",
    ...address,
    timeoutMs: durationOf(given.timeout) ?? CHECK_TIMEOUT_MS,
    failOpen: given.failOpen === true,
    statusOnError: statusOf(given.statusOnError),
    ...(typeof pathPrefix === "string" && pathPrefix !== "" && { pathPrefix }),
    includeRequestHeaders: names(includeRequestHeadersInCheck ?? includeHeadersInCheck),
    includeAdditionalHeaders: texts(given.includeAdditionalHeadersInCheck),
    headersToUpstreamOnAllow: names(given.headersToUpstreamOnAllow),
    headersToDownstreamOnDeny: names(given.headersToDownstreamOnDeny),
    headersToDownstreamOnAllow: names(given.headersToDownstreamOnAllow),
    maxRequestBytes: Math.min(numberOf(body.maxRequestBytes) ?? 0, MAX_REQUEST_BYTES),
    allowPartialMessage: body.allowPartialMessage === true,
  };
  return provider;
}

function tracerOf(given: unknown): TracingProvider | undefined {
  const address = addressOf(given);
  if (!isJsonObject(given) || address === undefined) return undefined;
  return { protocol: isJsonObject(given.http) ? "http" : "grpc", ...address };
}

/** `[<namespace>/]<host name>`; without a namespace the host name of a Service says it. */
function addressOf(
  given: unknown,
): { readonly namespace: string; readonly hostname: string; readonly port: number } | undefined {
  if (!isJsonObject(given)) return undefined;
  const { service } = given;
  const port = numberOf(given.port);
  if (typeof service !== "string" || service === "" || port === undefined) return undefined;
  if (port < 1 || port > 65_535) return undefined;
  const slash = service.indexOf("/");
  const hostname = service.slice(slash + 1);
  const [, namespace = "", kind] = hostname.split(".");
  if (slash > 0) return { namespace: service.slice(0, slash), hostname, port };
  return { namespace: kind === "svc" ? namespace : "", hostname, port };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function names(value: unknown): readonly string[] {
  return listOf(value).flatMap((name) => (typeof name === "string" ? [name.toLowerCase()] : []));
}

function texts(value: unknown): Readonly<Record<string, string>> {
  const entries = isJsonObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.flatMap(([name, text]) =>
      typeof text === "string" ? [[name.toLowerCase(), text]] : [],
    ),
  );
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : undefined;
}

function durationOf(value: unknown): number | undefined {
  return typeof value === "string" ? parseIstioDurationMs(value) : undefined;
}

/** Istio writes it as text. */
function statusOf(value: unknown): number {
  const status = Number(value);
  return Number.isInteger(status) && status >= 100 && status < 600 ? status : STATUS_ON_ERROR;
}
