/**
 * A ztunnel's config dump, ours or Istio's, of any version: what is not there, or is something
 * else than it should be, is empty.
 */

import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

export interface ZtunnelDump {
  /** All of it, as it came. */
  readonly whole: JsonObject;
  readonly workloads: readonly JsonObject[];
  readonly services: readonly JsonObject[];
  readonly policies: readonly JsonObject[];
  readonly certificates: readonly JsonObject[];
  /** Of captured pods. */
  readonly workloadStates: readonly JsonObject[];
}

const KEYS = ["workloads", "services", "policies", "certificates", "workloadState"];

/** `origin` says in errors where the text is from. Throws a MeshError for what is no dump. */
export function parseDump(text: string, origin: string): ZtunnelDump {
  const hint = "curl -s localhost:15000/config_dump > FILE makes one, where a ztunnel runs";
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("NOT_A_DUMP", `${origin} is not JSON`, { cause, hint });
  }
  if (!isJsonObject(whole) || !KEYS.some((key) => Object.hasOwn(whole, key))) {
    throw new MeshError("NOT_A_DUMP", `${origin} has none of ${KEYS.join(", ")}`, { hint });
  }
  return {
    whole,
    workloads: objectsOf(whole.workloads),
    services: objectsOf(whole.services),
    policies: objectsOf(whole.policies),
    certificates: objectsOf(whole.certificates),
    workloadStates: objectsOf(whole.workloadState),
  };
}

/** Of a list, or of a map as older ztunnels wrote. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).filter(isJsonObject);
}

/** "" for what is no text. */
export function textOf(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === "string" ? value : "";
}

export function textsOf(object: JsonObject, key: string): readonly string[] {
  const value = object[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

export function objectOf(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  return isJsonObject(value) ? value : undefined;
}
