/**
 * Kubernetes' strategic merge patch as far as the objects of a waypoint need it: maps are merged,
 * lists of named things (containers, variables, volumes, ports) are merged by name, other lists are
 * replaced, and null takes a field away. Source: Kubernetes' "Update API Objects in Place".
 */

/** Fields by which the elements of a list are told apart, the first that all of them have. */
const KEYS = ["name", "mountPath", "containerPort", "port", "ip", "topologyKey"] as const;

type Json = Readonly<Record<string, unknown>>;

export function mergePatch(value: unknown, patch: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(patch)) return mergeLists(value, patch);
  if (!isMap(value) || !isMap(patch)) return patch;
  const merged = new Map(Object.entries(value));
  for (const [key, part] of Object.entries(patch)) {
    if (part === null) merged.delete(key);
    else merged.set(key, merged.has(key) ? mergePatch(merged.get(key), part) : withoutNulls(part));
  }
  return Object.fromEntries(merged);
}

function mergeLists(list: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const all = [...list, ...patch];
  const key = KEYS.find((name) => all.every((item) => isMap(item) && Object.hasOwn(item, name)));
  if (key === undefined || patch.length === 0) return patch.map(withoutNulls);
  const merged = new Map(list.map((item) => [(item as Json)[key], item]));
  for (const item of patch) {
    const id = (item as Json)[key];
    merged.set(id, merged.has(id) ? mergePatch(merged.get(id), item) : withoutNulls(item));
  }
  return [...merged.values()];
}

function withoutNulls(value: unknown): unknown {
  return isMap(value) ? mergePatch({}, value) : value;
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
