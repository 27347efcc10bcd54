/**
 * PROXY_CONFIG: the part of Istio's ProxyConfig that a ztunnel reads, as YAML or JSON in one
 * variable. Source: istio/ztunnel src/config.rs.
 */

import { parse } from "yaml";
import type { Environment } from "#common/config/environment.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

export interface ProxyConfig {
  /** `host:port` of istiod; XDS_ADDRESS wins. */
  readonly discoveryAddress?: string;
  readonly proxyAdminPort?: number;
  readonly statsPort?: number;
  /** Worker threads, 0 for all cores; ZTUNNEL_WORKER_THREADS wins. */
  readonly concurrency?: number;
  /** As if each were an ISTIO_META_ variable of the process, which wins. */
  readonly proxyMetadata?: Readonly<Record<string, string>>;
}

const NUMBERS = { proxyAdminPort: 65_535, statsPort: 65_535, concurrency: 64 } as const;

/** Throws MeshError CONFIG_INVALID. Returns the fields, and the names of those not supported. */
export function readProxyConfig(env: Environment): { config: ProxyConfig; unsupported: string[] } {
  const text = env.PROXY_CONFIG;
  if (text === undefined || text.trim() === "") return { config: {}, unsupported: [] };
  const fields = Object.entries(parseFields(text));
  const config: Record<string, unknown> = {};
  const unsupported: string[] = [];
  for (const [name, value] of fields) {
    if (value === null) continue;
    if (name === "discoveryAddress") config[name] = asText(name, value);
    else if (name === "proxyMetadata") config[name] = asTexts(name, value);
    else if (name in NUMBERS) config[name] = asNumber(name as keyof typeof NUMBERS, value);
    else unsupported.push(name);
  }
  return { config, unsupported };
}

function parseFields(text: string): object {
  let parsed: unknown;
  try {
    // Its warnings would go to standard error, past our log.
    parsed = parse(text, { logLevel: "error" });
  } catch (error) {
    throw new MeshError("CONFIG_INVALID", `PROXY_CONFIG is no YAML: ${describeError(error)}`);
  }
  return isJsonObject(parsed) ? parsed : wrong("it", "a mapping of ProxyConfig fields");
}

function asText(name: string, value: unknown): string {
  return typeof value === "string" && value !== "" ? value : wrong(name, "text");
}

function asTexts(name: string, value: unknown): Record<string, string> {
  if (!isJsonObject(value)) return wrong(name, "a mapping of texts");
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => [key, asText(`${name}.${key}`, text)]),
  );
}

function asNumber(name: keyof typeof NUMBERS, value: unknown): number {
  const max = NUMBERS[name];
  if (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max) return Number(value);
  return wrong(name, `a whole number from 0 to ${max}`);
}

function wrong(name: string, allowed: string): never {
  throw new MeshError("CONFIG_INVALID", `PROXY_CONFIG is not valid: ${name} takes ${allowed}`);
}
