/**
 * ztunnel's configuration, from the environment: the names, meanings and defaults of Istio's
 * ztunnel for what both have. Every error names the variable, the value and what is allowed.
 */
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { LOG_LEVELS, type LogLevel } from "#common/telemetry/logger.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Endpoint {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM file with the roots that the server is verified against; re-read when it changes. */
  readonly rootCertFile: string;
  /** Name to verify in place of the URL's host. */
  readonly serverName: string | undefined;
  /** Sent with every call: `XDS_HEADER_<name>` and `CA_HEADER_<name>`. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ZtunnelConfig {
  readonly xds: Endpoint;
  readonly ca: Endpoint;
  /** Service account token, re-read for every call. */
  readonly tokenFile: string;
  readonly clusterId: string;
  readonly nodeName: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly instanceIp: IpAddress | undefined;
  readonly workerThreads: number;
  /** How long established connections may go on after SIGTERM. */
  readonly drainDeadlineMs: number;
  /** Lifetime asked for certificates. */
  readonly certificateTtlSeconds: number;
  /** File of revocation lists, PEM or DER, followed while it changes; undefined for none. */
  readonly crlPath: string | undefined;
  readonly keepSourceAddress: boolean;
  /** Whether pods of this node reach each other without a tunnel in between. */
  readonly sameNodeFastPath: boolean;
  /** Where pods' sandboxes are found: a file per pod UID holding a process id. */
  readonly podSandboxesDir: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly readinessPort: number;
}

const ISTIOD = "https://istiod.istio-system.svc:15012";
const ROOT_CERT = "/var/run/secrets/istio/root-cert.pem";
const TOKEN = "/var/run/secrets/tokens/istio-token";
const DEFAULT_GRACE_PERIOD_S = 30;

/** Throws a MeshError CONFIG_INVALID for the first variable that is wrong. */
export function loadConfig(env: Environment): ZtunnelConfig {
  return {
    xds: {
      url: url(env, "XDS_ADDRESS", ISTIOD),
      rootCertFile: env.XDS_ROOT_CA || ROOT_CERT,
      serverName: env.ALT_XDS_HOSTNAME || undefined,
      headers: headers(env, "XDS_HEADER_"),
    },
    ca: {
      url: url(env, "CA_ADDRESS", ISTIOD),
      rootCertFile: env.CA_ROOT_CA || ROOT_CERT,
      serverName: env.ALT_CA_HOSTNAME || undefined,
      headers: headers(env, "CA_HEADER_"),
    },
    tokenFile: env.TOKEN_PATH || TOKEN,
    clusterId: env.CLUSTER_ID || "Kubernetes",
    nodeName: required(env, "NODE_NAME", "the Kubernetes node this ztunnel serves"),
    network: env.NETWORK ?? "",
    trustDomain: env.TRUST_DOMAIN || "cluster.local",
    podName: env.POD_NAME || "ztunnel",
    podNamespace: env.POD_NAMESPACE || "istio-system",
    instanceIp: ip(env, "INSTANCE_IP"),
    workerThreads: integer(env, "ZTUNNEL_WORKER_THREADS", 1, { min: 1, max: 64 }),
    drainDeadlineMs: drainDeadlineMs(env),
    certificateTtlSeconds: certificateTtlSeconds(env),
    crlPath: env.CRL_PATH || undefined,
    keepSourceAddress: boolean(env, "ENABLE_ORIG_SRC", true),
    sameNodeFastPath: boolean(env, "SAME_NODE_FAST_PATH", true),
    podSandboxesDir: env.POD_SANDBOXES_DIR || "/var/run/ambient-mesh/sandboxes",
    logLevel: rustLogLevel(env) ?? choice(env, "LOG_LEVEL", LOG_LEVELS, "info"),
    logFormat: choice(env, "LOG_FORMAT", ["text", "json"] as const, "text"),
    adminPort: port(env, "ADMIN_PORT", ADMIN_PORT),
    metricsPort: port(env, "STATS_PORT", METRICS_PORT),
    readinessPort: port(env, "READINESS_PORT", READINESS_PORT),
  };
}

/**
 * Istio's rule: CONNECTION_TERMINATION_DEADLINE, else five seconds less than the pod's grace period
 * (one second less where that is ten or under), so that the process ends by itself.
 */
function drainDeadlineMs(env: Environment): number {
  const explicit = env.CONNECTION_TERMINATION_DEADLINE;
  if (explicit !== undefined && explicit !== "") {
    return duration("CONNECTION_TERMINATION_DEADLINE", explicit);
  }
  const grace = integer(env, "TERMINATION_GRACE_PERIOD_SECONDS", DEFAULT_GRACE_PERIOD_S, {
    min: 1,
    max: 86_400,
  });
  return Math.max(0, grace > 10 ? grace - 5 : grace - 1) * 1000;
}

function certificateTtlSeconds(env: Environment): number {
  const value = env.SECRET_TTL;
  if (value === undefined || value === "") return 86_400;
  const seconds = duration("SECRET_TTL", value) / 1000;
  if (seconds >= 60 && seconds <= 7_776_000) return seconds;
  return invalid("SECRET_TTL", value, "a duration from 1m to 90d");
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90`, `500ms`, `24h0m0s`: a bare number is seconds, parts add up. */
function duration(name: string, value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const parts = [...value.matchAll(/(\d{1,9})(ms|[smhd])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== value) {
    return invalid(name, value, "a duration such as 500ms, 5s, 1m or 24h0m0s");
  }
  return parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS],
    0,
  );
}

/**
 * RUST_LOG as Istio's charts set it: a level, or directives such as `info,xds=debug`. Levels of
 * single scopes are passed over: this logger has one level.
 */
function rustLogLevel(env: Environment): LogLevel | undefined {
  const value = env.RUST_LOG;
  if (value === undefined || value === "") return undefined;
  const plain = value.split(",").filter((directive) => !directive.includes("="));
  const level = LOG_LEVELS.find((candidate) => candidate === plain.at(-1)?.trim());
  if (level !== undefined || plain.length === 0) return level;
  return invalid("RUST_LOG", value, LOG_LEVELS.join(", "));
}

/** `XDS_HEADER_X_FOO=bar` is the header `x_foo: bar`: gRPC's metadata keys are lower case. */
function headers(env: Environment, prefix: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined) continue;
    const key = name.slice(prefix.length).toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(key) || key.startsWith("grpc-") || key.endsWith("-bin")) {
      return invalid(name, value, `a name after ${prefix} that gRPC metadata may have`);
    }
    if (!/^[\x20-\x7e]*$/.test(value)) return invalid(name, value, "printable ASCII");
    found[key] = value;
  }
  return found;
}

function required(env: Environment, name: string, what: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw new MeshError("CONFIG_INVALID", `${name} is not set: it names ${what}`, {
    hint: `set ${name} in the container's env`,
  });
}

/** Istio's charts write `host:port`; TLS is meant, and nothing else is supported. */
function url(env: Environment, name: string, fallback: string): string {
  const given = env[name] || fallback;
  const value = given.includes("://") ? given : `https://${given}`;
  const parsed = URL.parse(value);
  const plain = parsed?.pathname === "/" && parsed.search === "" && parsed.username === "";
  if (parsed?.protocol === "https:" && plain) return value.replace(/\/$/, "");
  return invalid(name, given, "an address such as https://istiod.istio-system.svc:15012");
}

function ip(env: Environment, name: string): IpAddress | undefined {
  const value = env[name];
  if (value === undefined || value === "") return undefined;
  return parseIp(value) ?? invalid(name, value, "an IP address");
}

function port(env: Environment, name: string, fallback: number): number {
  return integer(env, name, fallback, { min: 0, max: 65_535 });
}

function integer(
  env: Environment,
  name: string,
  fallback: number,
  bounds: { min: number; max: number },
): number {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= bounds.min && number <= bounds.max) return number;
  return invalid(name, value, `a whole number from ${bounds.min} to ${bounds.max}`);
}

function boolean(env: Environment, name: string, fallback: boolean): boolean {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  if (value === "true" || value === "false") return value === "true";
  return invalid(name, value, "true or false");
}

function choice<Choice extends string>(
  env: Environment,
  name: string,
  choices: readonly Choice[],
  fallback: Choice,
): Choice {
  const value = env[name];
  if (value === undefined || value === "") return fallback;
  return (
    choices.find((candidate) => candidate === value) ?? invalid(name, value, choices.join(", "))
  );
}

function invalid(name: string, value: string, allowed: string): never {
  throw new MeshError("CONFIG_INVALID", `${name}=${value} is not valid: it takes ${allowed}`);
}
