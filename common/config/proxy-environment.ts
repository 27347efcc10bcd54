/**
 * The variables that every proxy of the mesh has in common, by the names, meanings and defaults of
 * Istio's ztunnel: where the control plane is, what proves us to it, whom we trust, what we log.
 * Readers throw MeshError CONFIG_INVALID.
 */
import { existsSync } from "node:fs";
import {
  choice,
  durationMs,
  type Environment,
  headers,
  invalid,
  tlsUrl,
} from "#common/config/environment.ts";
import { isTrustDomain, type TrustDomains } from "#common/model/identity.ts";
import { LOG_LEVELS, LogLevels, parseLogDirectives } from "#common/telemetry/log-levels.ts";

export interface ControlPlaneEndpoint {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM file with the roots that the server is verified against; re-read when it changes. */
  readonly rootCertFile: string;
  /** Name to verify in place of the URL's host. */
  readonly serverName: string | undefined;
  /** Sent with every call: `XDS_HEADER_<name>` and `CA_HEADER_<name>`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Where it is unless somebody says otherwise. */
export const ISTIOD = "https://istiod.istio-system.svc:15012";
const ROOT_CERT = "/var/run/secrets/istio/root-cert.pem";
const TOKEN = "/var/run/secrets/tokens/istio-token";
const DAY_MS = 86_400_000;

export function xdsEndpoint(env: Environment, url: string): ControlPlaneEndpoint {
  return {
    url,
    rootCertFile: rootCertFile(env, "XDS_ROOT_CA"),
    serverName: env.ALT_XDS_HOSTNAME || undefined,
    headers: headers(env, "XDS_HEADER_"),
  };
}

export function caEndpoint(env: Environment): ControlPlaneEndpoint {
  return {
    url: tlsUrl("CA_ADDRESS", env.CA_ADDRESS ?? ISTIOD),
    rootCertFile: rootCertFile(env, "CA_ROOT_CA"),
    serverName: env.ALT_CA_HOSTNAME || undefined,
    headers: headers(env, "CA_HEADER_"),
  };
}

/** TRUST_DOMAIN, and TRUST_DOMAIN_ALIASES. */
export function trustDomains(env: Environment): TrustDomains {
  return [env.TRUST_DOMAIN || "cluster.local", ...trustDomainAliases(env)];
}

/** Names apart by commas; Istio's ztunnel has no such variable, MeshConfig calls it the same. */
function trustDomainAliases(env: Environment): readonly string[] {
  const value = env.TRUST_DOMAIN_ALIASES ?? "";
  const aliases = value.split(",").flatMap((alias) => alias.trim() || []);
  if (aliases.every(isTrustDomain)) return aliases;
  return invalid("TRUST_DOMAIN_ALIASES", value, "trust domains apart by commas, as in old-td,td2");
}

function rootCertFile(env: Environment, name: string): string {
  const value = env[name] || ROOT_CERT;
  if (value !== "SYSTEM" && !value.includes("-----BEGIN")) return value;
  const shown = value === "SYSTEM" ? value : "(a certificate)";
  return invalid(name, shown, "the path of a PEM file", "mount the roots as a file and name it");
}

/** Istio's variable takes a literal token too, which could neither be rotated nor kept secret. */
export function tokenFile(env: Environment): string {
  const value = env.AUTH_TOKEN || TOKEN;
  if (!/^ey[\w-]+\.[\w-]+\.[\w-]+$/.test(value)) return value;
  return invalid("AUTH_TOKEN", "(a token)", "the path of a file that holds the token");
}

/** SECRET_TTL: the lifetime asked for certificates. */
export function certificateTtlSeconds(env: Environment): number {
  const bounds = { min: 60_000, max: 90 * DAY_MS };
  return durationMs(env, "SECRET_TTL", DAY_MS, bounds) / 1000;
}

/** RUST_LOG as Istio's charts set it: a level, levels of single targets, or both. */
export function logLevels(env: Environment): LogLevels {
  const levels = new LogLevels(choice(env, "LOG_LEVEL", LOG_LEVELS, "info"));
  const { RUST_LOG } = env;
  if (RUST_LOG === undefined || RUST_LOG === "") return levels;
  const directives = parseLogDirectives(RUST_LOG);
  const allowed = `${LOG_LEVELS.join(", ")}, and TARGET=LEVEL, apart by commas`;
  return directives === undefined
    ? invalid("RUST_LOG", RUST_LOG, allowed)
    : levels.with(directives);
}

/** MEMORY_CGROUP_DIR; version 1 has a directory per controller, version 2 one for all. */
export function memoryCgroupDir(env: Environment): string {
  if (env.MEMORY_CGROUP_DIR) return env.MEMORY_CGROUP_DIR;
  const v1 = "/sys/fs/cgroup/memory";
  return existsSync(v1) ? v1 : "/sys/fs/cgroup";
}
