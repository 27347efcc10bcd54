/**
 * The two kinds of patches that a kustomization has: strategic merge, which knows by which key the
 * items of a list are told apart, and JSON patch (RFC 6902). Pure.
 */

import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

/**
 * Of lists whose items are merged; every other list is replaced as a whole. Source:
 * x-kubernetes-patch-merge-key in Kubernetes' OpenAPI document.
 */
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  volumeMounts: ["mountPath"],
  volumeDevices: ["devicePath"],
  // Of a container, and of a Service.
  ports: ["containerPort", "port"],
  imagePullSecrets: ["name"],
  topologySpreadConstraints: ["topologyKey"],
  hostAliases: ["ip"],
  webhooks: ["name"],
};

const DIRECTIVE = "$patch";

/** Null takes a field away, `$patch: delete` an item of a list; `$patch: replace` all the rest. */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  if (patch[DIRECTIVE] === "replace") return withoutDirective(patch);
  const merged: Record<string, unknown> = { ...target };
  for (const [key, wanted] of Object.entries(patch)) {
    const current = merged[key];
    if (wanted === null) delete merged[key];
    else if (isJsonObject(wanted))
      merged[key] = mergePatch(isJsonObject(current) ? current : {}, wanted);
    else if (Array.isArray(wanted)) merged[key] = mergeList(key, current, wanted);
    else merged[key] = wanted;
  }
  return merged;
}

function mergeList(field: string, current: unknown, wanted: readonly unknown[]): unknown {
  const items = Array.isArray(current) ? current : [];
  const key = MERGE_KEYS[field]?.find((candidate) =>
    wanted.every((item) => isJsonObject(item) && item[candidate] !== undefined),
  );
  if (key === undefined) return wanted;
  const patches = wanted.filter(isJsonObject);
  const same = (a: unknown, b: JsonObject) => isJsonObject(a) && a[key] === b[key];
  // Those that the patch names come first, in its order, as kustomize does it.
  const named = patches
    .filter((patch) => patch[DIRECTIVE] !== "delete")
    .map((patch) => {
      const there = items.find((item) => same(item, patch));
      return mergePatch(isJsonObject(there) ? there : {}, patch);
    });
  return [...named, ...items.filter((item) => !patches.some((patch) => same(item, patch)))];
}

function withoutDirective({ [DIRECTIVE]: _, ...rest }: JsonObject): JsonObject {
  return rest;
}

/** Applies the operations in turn. Throws a MeshError for one that does not fit. */
export function jsonPatch(target: JsonObject, operations: readonly unknown[]): JsonObject {
  const copy: unknown = structuredClone(target);
  for (const operation of operations) applyOperation(copy, operation);
  return copy as JsonObject;
}

function applyOperation(root: unknown, operation: unknown): void {
  const { op, path, value } = isJsonObject(operation) ? operation : {};
  if (typeof path !== "string" || !path.startsWith("/")) throw misfit(operation, "it has no path");
  const keys = path
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = keys.pop() ?? "";
  let at: unknown = root;
  for (const key of keys) at = childOf(at, key);
  if (Array.isArray(at)) editList(at, last, operation, op, value);
  else if (typeof at === "object" && at !== null) editObject(at, last, operation, op, value);
  else throw misfit(operation, "there is nothing at its path");
}

function childOf(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) return parent[Number(key)];
  return isJsonObject(parent) && Object.hasOwn(parent, key) ? parent[key] : undefined;
}

function editList(list: unknown[], key: string, operation: unknown, op: unknown, value: unknown) {
  const index = key === "-" ? list.length : /^\d{1,6}$/.test(key) ? Number(key) : -1;
  const isThere = index >= 0 && index < list.length;
  if (op === "add" && (isThere || index === list.length)) list.splice(index, 0, value);
  else if (op === "replace" && isThere) list[index] = value;
  else if (op === "remove" && isThere) list.splice(index, 1);
  else throw misfit(operation, "the list has no such item");
}

function editObject(object: object, key: string, operation: unknown, op: unknown, value: unknown) {
  const fields = object as Record<string, unknown>;
  const isThere = Object.hasOwn(fields, key);
  if (op === "add" || (op === "replace" && isThere)) fields[key] = value;
  else if (op === "remove" && isThere) delete fields[key];
  else throw misfit(operation, "the object has no such field");
}

function misfit(operation: unknown, why: string): MeshError {
  return new MeshError("MANIFEST", `the patch ${JSON.stringify(operation)} cannot be made: ${why}`);
}
