/**
 * The waypoint's configuration, from the environment: the names, meanings and defaults of Istio's
 * proxies for what both have. docs/waypoints.md lists what people set. Every error names the
 * variable, the value and what is allowed.
 */

import {
  choice,
  durationMs,
  type Environment,
  integer,
  ip,
  port,
  required,
  tlsUrl,
} from "#common/config/environment.ts";
import {
  type ControlPlaneEndpoint,
  caEndpoint,
  certificateTtlSeconds,
  ISTIOD,
  logLevels,
  memoryCgroupDir,
  tokenFile,
  trustDomains,
  xdsEndpoint,
} from "#common/config/proxy-environment.ts";
import type { TrustDomains } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { ADMIN_PORT, HBONE_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import type { LogLevels } from "#common/telemetry/log-levels.ts";
import { STREAMS_PER_TUNNEL, TUNNEL_IDLE_MS } from "#common/transport/limits.ts";
import { DEFAULT_TUNNEL_SETTINGS, type TunnelSettings } from "#common/transport/tunnel-settings.ts";
import type { EngineName } from "./http/engine.ts";
import { PROTOCOL_DETECTION_MS } from "./limits.ts";

export interface WaypointConfig {
  readonly xds: ControlPlaneEndpoint;
  readonly ca: ControlPlaneEndpoint;
  /** Service account token, re-read for every call. */
  readonly tokenFile: string;
  readonly clusterId: string;
  readonly network: string;
  /** Peers with certificates of an alias are of the mesh, too. */
  readonly trustDomains: TrustDomains;
  readonly nodeName: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly serviceAccount: string;
  /** Of the Gateway whose pod this is, in the pod's own namespace. */
  readonly gatewayName: string;
  readonly instanceIp: IpAddress | undefined;
  /** Of the listener; undefined for every address. */
  readonly listenIp: IpAddress | undefined;
  readonly hbonePort: number;
  readonly tunnels: TunnelSettings;
  /** What carries HTTP/1.1. */
  readonly engine: EngineName;
  readonly protocolDetectionMs: number;
  /** How long connections may go on after SIGTERM. */
  readonly drainDeadlineMs: number;
  readonly certificateTtlSeconds: number;
  /** File of revocation lists, PEM or DER, followed while it changes; undefined for none. */
  readonly crlPath: string | undefined;
  readonly memoryCgroupDir: string;
  readonly logLevels: LogLevels;
  readonly logFormat: "text" | "json";
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly readinessPort: number;
}

/** Source: Istio's ProxyConfig.terminationDrainDuration. */
const DRAIN_DEADLINE_MS = 5_000;
const ENGINES = ["llhttp", "http-proxy", "undici"] as const satisfies readonly EngineName[];

/** Throws a MeshError CONFIG_INVALID for the first variable that is wrong. */
export function loadConfig(env: Environment): WaypointConfig {
  return {
    xds: xdsEndpoint(env, tlsUrl("XDS_ADDRESS", env.XDS_ADDRESS || ISTIOD)),
    ca: caEndpoint(env),
    tokenFile: tokenFile(env),
    ...identity(env),
    listenIp: ip(env, "LISTEN_IP"),
    hbonePort: port(env, "HBONE_PORT", HBONE_PORT),
    tunnels: tunnels(env),
    engine: choice(env, "HTTP_ENGINE", ENGINES, "llhttp"),
    protocolDetectionMs: durationMs(env, "PROTOCOL_DETECTION_TIMEOUT", PROTOCOL_DETECTION_MS, {
      min: 1,
      max: 60_000,
    }),
    drainDeadlineMs: drainDeadlineMs(env),
    certificateTtlSeconds: certificateTtlSeconds(env),
    crlPath: env.CRL_PATH || undefined,
    memoryCgroupDir: memoryCgroupDir(env),
    logLevels: logLevels(env),
    logFormat: choice(env, "LOG_FORMAT", ["text", "json"] as const, "text"),
    adminPort: port(env, "ADMIN_PORT", ADMIN_PORT),
    metricsPort: port(env, "STATS_PORT", METRICS_PORT),
    readinessPort: port(env, "READINESS_PORT", READINESS_PORT),
  };
}

/** Who this is. */
function identity(env: Environment) {
  return {
    clusterId: env.ISTIO_META_CLUSTER_ID || env.CLUSTER_ID || "Kubernetes",
    network: env.ISTIO_META_NETWORK || env.NETWORK || "",
    trustDomains: trustDomains(env),
    nodeName: env.NODE_NAME ?? "",
    podName: required(env, "POD_NAME", "this pod"),
    podNamespace: required(env, "POD_NAMESPACE", "this pod's namespace"),
    serviceAccount: required(env, "SERVICE_ACCOUNT", "this pod's service account"),
    gatewayName: required(env, "GATEWAY_NAME", "the Gateway that this is a waypoint of"),
    instanceIp: ip(env, "INSTANCE_IP"),
  };
}

function tunnels(env: Environment): TunnelSettings {
  const streams = { min: 1, max: 65_535 };
  const idleMs = { min: 0, max: 86_400_000 };
  return {
    ...DEFAULT_TUNNEL_SETTINGS,
    streamsPerTunnel: integer(env, "POOL_MAX_STREAMS_PER_CONNECTION", STREAMS_PER_TUNNEL, streams),
    tunnelIdleMs: durationMs(env, "POOL_UNUSED_RELEASE_TIMEOUT", TUNNEL_IDLE_MS, idleMs),
  };
}

/**
 * TERMINATION_DRAIN_DURATION_SECONDS, else five seconds less than the pod's grace period (one less
 * where that is ten or under), so that the process ends by itself.
 */
function drainDeadlineMs(env: Environment): number {
  const seconds = { min: 0, max: 86_400 };
  const grace = integer(env, "TERMINATION_GRACE_PERIOD_SECONDS", 0, seconds);
  const ofGraceMs = Math.max(1, grace > 10 ? grace - 5 : grace - 1) * 1000;
  const fallbackMs = grace === 0 ? DRAIN_DEADLINE_MS : ofGraceMs;
  return 1000 * integer(env, "TERMINATION_DRAIN_DURATION_SECONDS", fallbackMs / 1000, seconds);
}
