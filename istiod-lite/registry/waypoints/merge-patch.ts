/**
 * Kubernetes' strategic merge patch as far as the objects of a waypoint need it: maps are merged,
 * lists of named things (containers, variables, volumes, ports) are merged by name, other lists are
 * replaced, and null takes a field away. Source: Kubernetes' "Update API Objects in Place".
 */
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

/** Fields by which the elements of a list are told apart, the first that all of them have. */
const KEYS = ["name", "mountPath", "containerPort", "port", "ip", "topologyKey"] as const;

export function mergePatch(value: unknown, patch: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(patch)) return mergeLists(value, patch);
  if (!isJsonObject(value) || !isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(value));
  for (const [key, part] of Object.entries(patch)) {
    if (part === null) merged.delete(key);
    else merged.set(key, merged.has(key) ? mergePatch(merged.get(key), part) : withoutNulls(part));
  }
  return Object.fromEntries(merged);
}

function mergeLists(list: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const all = [...list, ...patch];
  const key = KEYS.find((name) =>
    all.every((item) => isJsonObject(item) && Object.hasOwn(item, name)),
  );
  if (key === undefined || patch.length === 0) return patch.map(withoutNulls);
  const merged = new Map(list.map((item) => [(item as JsonObject)[key], item]));
  for (const item of patch) {
    const id = (item as JsonObject)[key];
    merged.set(id, merged.has(id) ? mergePatch(merged.get(id), item) : withoutNulls(item));
  }
  return [...merged.values()];
}

function withoutNulls(value: unknown): unknown {
  return isJsonObject(value) ? mergePatch({}, value) : value;
}
