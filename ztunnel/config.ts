/**
 * ztunnel's configuration, from the environment: the names, meanings and defaults of Istio's
 * ztunnel for what both have. docs/configuration.md lists all of them with units and defaults.
 * Every error names the variable, the value and what is allowed.
 */
import { availableParallelism } from "node:os";
import {
  boolean,
  choice,
  durationMs,
  type Environment,
  integer,
  invalid,
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
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { LogLevels } from "#common/telemetry/log-levels.ts";
import { type ProxyConfig, readProxyConfig } from "./proxy-config.ts";
import { readTuning, type Tuning } from "./tuning.ts";
import { refuseDangerous, unsupportedVariables } from "./unsupported-variables.ts";
import { workerThreads } from "./worker-threads.ts";

/** State that is read once at start, in the YAML of Istio's ztunnel: from a file, or as it is. */
export type LocalXds = { readonly file: string } | { readonly text: string };

export interface ZtunnelConfig {
  /** Undefined where XDS_ADDRESS is set and empty: then LOCAL_XDS_PATH says everything. */
  readonly xds: ControlPlaneEndpoint | undefined;
  readonly ca: ControlPlaneEndpoint;
  /** Whether addresses are asked for one by one, as they are needed, instead of all there are. */
  readonly xdsOnDemand: boolean;
  readonly localXds: LocalXds | undefined;
  /** Service account token, re-read for every call. */
  readonly tokenFile: string;
  readonly clusterId: string;
  readonly nodeName: string;
  readonly network: string;
  /** Peers with certificates of an alias are of the mesh, too. */
  readonly trustDomains: TrustDomains;
  readonly podName: string;
  readonly podNamespace: string;
  readonly instanceIp: IpAddress | undefined;
  /** Whose services come after those of a client's own namespace; "" for nobody's. */
  readonly preferredServiceNamespace: string;
  readonly tuning: Tuning;
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
  /**
   * The socket on which an istio-cni agent says which pods to proxy; undefined where the control
   * plane does, and this ztunnel captures them itself.
   */
  readonly inpodSocket: string | undefined;
  /** Whether DNS of pods is answered and forwarded here at all (ISTIO_META_DNS_CAPTURE). */
  readonly dnsProxy: boolean;
  /** Services are `<name>.<namespace>.svc.<domain>`. */
  readonly clusterDomain: string;
  /** Whether IPv6 addresses are given out and taken (IPV6_ENABLED). */
  readonly ipv6: boolean;
  /**
   * Where pods' sandboxes are found: a file per pod UID holding a process id. Undefined where they
   * are found by the node's processes, as on Kubernetes.
   */
  readonly podSandboxesDir: string | undefined;
  /** The node's own network namespace: where kubelet's probes come from. */
  readonly nodeNetns: string;
  /** The files of this process's memory cgroup; of a container they are where they always are. */
  readonly memoryCgroupDir: string;
  /** Undefined where no CNI plugin asks this ztunnel about the sandboxes of the node. */
  readonly cni: CniConfig | undefined;
  readonly logLevels: LogLevels;
  readonly logFormat: "text" | "json";
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly readinessPort: number;
  /**
   * Where a supervisor waits for a newline that says "ready"; it shares this ztunnel's ports with
   * the one that replaces it, so they are given up when the drain begins.
   */
  readonly readinessFd: number | undefined;
  /** What is set, known to Istio's ztunnel and without effect here; one sentence each. */
  readonly warnings: readonly string[];
}

/** Istio's, where neither a deadline nor a grace period is given. */
const DRAIN_DEADLINE_MS = 5_000;

/** Throws a MeshError CONFIG_INVALID for the first variable that is wrong. */
export function loadConfig(env: Environment, cores = availableParallelism()): ZtunnelConfig {
  refuseDangerous(env);
  const { config: proxyConfig, unsupported } = readProxyConfig(env);
  return {
    ...sources(env, proxyConfig),
    ...identity(env, proxyConfig),
    preferredServiceNamespace: env.PREFERED_SERVICE_NAMESPACE ?? "",
    tuning: readTuning(env),
    workerThreads: workerThreads(env, cores, proxyConfig.concurrency),
    drainDeadlineMs: drainDeadlineMs(env),
    certificateTtlSeconds: certificateTtlSeconds(env),
    crlPath: env.CRL_PATH || undefined,
    keepSourceAddress: boolean(env, "ENABLE_ORIG_SRC", true),
    sameNodeFastPath: boolean(env, "SAME_NODE_FAST_PATH", true),
    ...dns(env, proxyConfig),
    inpodSocket: env.INPOD_UDS || undefined,
    memoryCgroupDir: memoryCgroupDir(env),
    ...node(env),
    cni: cni(env),
    logLevels: logLevels(env),
    logFormat: choice(env, "LOG_FORMAT", ["text", "json"] as const, "text"),
    adminPort: port(env, "ADMIN_PORT", proxyConfig.proxyAdminPort ?? ADMIN_PORT),
    metricsPort: port(env, "STATS_PORT", proxyConfig.statsPort ?? METRICS_PORT),
    readinessPort: port(env, "READINESS_PORT", READINESS_PORT),
    readinessFd: env.READINESS_FD
      ? integer(env, "READINESS_FD", 0, { min: 3, max: 1023 })
      : undefined,
    warnings: unsupportedVariables(env, unsupported),
  };
}

/** Where state and certificates come from. */
function sources(env: Environment, proxyConfig: ProxyConfig) {
  const localXds = localXdsOf(env);
  // Set and empty means none, as in Istio.
  const xdsAddress = env.XDS_ADDRESS ?? (proxyConfig.discoveryAddress || ISTIOD);
  if (xdsAddress === "" && !env.INPOD_UDS) {
    throw new MeshError(
      "CONFIG_INVALID",
      "nothing says which pods to proxy: XDS_ADDRESS is empty",
      {
        hint: "set INPOD_UDS to the socket of an istio-cni agent, or XDS_ADDRESS to istiod",
      },
    );
  }
  const ca = caEndpoint(env);
  const url = xdsAddress === "" ? undefined : tlsUrl("XDS_ADDRESS", xdsAddress);
  const xds = url === undefined ? undefined : xdsEndpoint(env, url);
  // Without a control plane there is nobody to ask.
  const xdsOnDemand = boolean(env, "XDS_ON_DEMAND", false) && url !== undefined;
  return { xds, xdsOnDemand, ca, localXds, tokenFile: tokenFile(env) };
}

function localXdsOf(env: Environment): LocalXds | undefined {
  const { LOCAL_XDS_PATH: file, LOCAL_XDS: text } = env;
  if (file && text)
    throw new MeshError("CONFIG_INVALID", "LOCAL_XDS_PATH and LOCAL_XDS are both set");
  if (file) return { file };
  return text ? { text } : undefined;
}

/** Who this is. */
function identity(env: Environment, { proxyMetadata = {} }: ProxyConfig) {
  const metadata = (key: string) => env[`ISTIO_META_${key}`] || proxyMetadata[key];
  return {
    clusterId: metadata("CLUSTER_ID") || env.CLUSTER_ID || "Kubernetes",
    nodeName: required(env, "NODE_NAME", "the Kubernetes node this ztunnel serves"),
    network: env.NETWORK ?? "",
    trustDomains: trustDomains(env),
    podName: env.POD_NAME || "ztunnel",
    podNamespace: env.POD_NAMESPACE || "istio-system",
    instanceIp: ip(env, "INSTANCE_IP"),
  };
}

/** Where a directory names the sandboxes, ztunnel itself runs in the node's network. */
function node(env: Environment) {
  const podSandboxesDir = env.POD_SANDBOXES_DIR || undefined;
  const own = podSandboxesDir === undefined ? "/proc/1/ns/net" : "/proc/self/ns/net";
  return { podSandboxesDir, nodeNetns: env.NODE_NETNS || own };
}

/** All paths but `nodeRoot` are the same here as on the node. */
export interface CniConfig {
  readonly socketPath: string;
  /** The node's directories of plugins and of configurations; undefined: another installs them. */
  readonly install: { readonly binDir: string; readonly confDir: string } | undefined;
  readonly excludedNamespaces: readonly string[];
  /** Where the node's file system is seen from here. */
  readonly nodeRoot: string;
}

function cni(env: Environment): CniConfig | undefined {
  const { CNI_SOCKET: socketPath, CNI_BIN_DIR: binDir, CNI_CONF_DIR: confDir } = env;
  if (!socketPath) return undefined;
  for (const name of ["CNI_SOCKET", "CNI_BIN_DIR", "CNI_CONF_DIR"]) plainPath(env, name);
  const own = env.POD_NAMESPACE || "istio-system";
  const given = env.CNI_EXCLUDE_NAMESPACES ?? "kube-system";
  const excluded = given.split(/[\s,]+/).filter(Boolean);
  if (!excluded.every((name) => /^[a-z0-9-]{1,63}$/.test(name))) {
    invalid("CNI_EXCLUDE_NAMESPACES", given, "names of namespaces, apart by commas");
  }
  return {
    socketPath,
    install: binDir && confDir ? { binDir, confDir } : undefined,
    excludedNamespaces: [...new Set([own, ...excluded])],
    nodeRoot: env.POD_SANDBOXES_DIR ? "" : "/proc/1/root",
  };
}

/** Paths that a shell script of ours names as they are. */
function plainPath(env: Environment, name: string): void {
  const { [name]: value = "" } = env;
  if (value === "" || /^(\/[\w.@+-]+)+\/?$/.test(value)) return;
  invalid(name, value, "an absolute path of letters, digits and ._@+-");
}

/** In lower case, as names are compared. Source of the rule: istio/ztunnel src/config.rs. */
function dns(env: Environment, { proxyMetadata = {} }: ProxyConfig) {
  const capture = env.ISTIO_META_DNS_CAPTURE || proxyMetadata.DNS_CAPTURE || "true";
  return {
    dnsProxy: capture.toLowerCase() === "true",
    clusterDomain: (env.CLUSTER_DOMAIN || "cluster.local").toLowerCase().replace(/\.$/, ""),
    ipv6: boolean(env, "IPV6_ENABLED", true),
  };
}

/**
 * Istio's rule: CONNECTION_TERMINATION_DEADLINE, else five seconds less than the pod's grace period
 * (one second less where that is ten or under), so that the process ends by itself.
 */
function drainDeadlineMs(env: Environment): number {
  const grace = integer(env, "TERMINATION_GRACE_PERIOD_SECONDS", 0, { min: 0, max: 86_400 });
  const ofGraceMs = Math.max(1, grace > 10 ? grace - 5 : grace - 1) * 1000;
  const fallbackMs = grace === 0 ? DRAIN_DEADLINE_MS : ofGraceMs;
  return durationMs(env, "CONNECTION_TERMINATION_DEADLINE", fallbackMs);
}
