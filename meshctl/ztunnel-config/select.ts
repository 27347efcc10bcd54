/** Which parts of a config dump are shown, in which order: as `istioctl ztunnel-config` does. */
import type { JsonObject } from "#common/runtime/json-object.ts";
import { objectOf, objectsOf, textOf, textsOf } from "./dump.ts";

/** What is not given does not matter; letters of either case are the same. */
export interface WorkloadFilter {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly address?: string | undefined;
  readonly node?: string | undefined;
}

export type Direction = "inbound" | "outbound";

export interface ConnectionFilter {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly direction?: Direction | undefined;
}

export function selectWorkloads(
  workloads: readonly JsonObject[],
  { name, namespace, address, node }: WorkloadFilter,
): readonly JsonObject[] {
  const chosen = workloads.filter(
    (workload) =>
      isOrAny(textOf(workload, "name"), name) &&
      isOrAny(textOf(workload, "namespace"), namespace) &&
      isOrAny(textOf(workload, "node"), node) &&
      (address === undefined || textsOf(workload, "workloadIps").some((ip) => is(ip, address))),
  );
  return sortBy(chosen, (workload) => [
    `${textOf(workload, "namespace")}.${textOf(workload, "name")}`,
    textOf(workload, "node"),
  ]);
}

/** Services or policies. */
export function selectByNamespace(
  objects: readonly JsonObject[],
  namespace: string | undefined,
): readonly JsonObject[] {
  const chosen = objects.filter((object) => isOrAny(textOf(object, "namespace"), namespace));
  return sortBy(chosen, (object) => [
    textOf(object, "namespace"),
    textOf(object, "name"),
    textOf(object, "hostname"),
  ]);
}

/** Captured pods; of those, only the connections of that direction are left. */
export function selectStates(
  states: readonly JsonObject[],
  { name, namespace, direction }: ConnectionFilter,
): readonly JsonObject[] {
  const info = (state: JsonObject, key: string) => textOf(objectOf(state, "info") ?? {}, key);
  const chosen = states.filter(
    (state) => isOrAny(info(state, "name"), name) && isOrAny(info(state, "namespace"), namespace),
  );
  const sorted = sortBy(chosen, (state) => [info(state, "namespace"), info(state, "name")]);
  if (direction === undefined) return sorted;
  return sorted.map((state) => {
    const { [direction]: kept = [] } = objectOf(state, "connections") ?? {};
    const connections = { inbound: [], outbound: [], [direction]: objectsOf(kept) };
    return { ...state, connections };
  });
}

function isOrAny(value: string, wanted: string | undefined): boolean {
  return wanted === undefined || wanted === "" || is(value, wanted);
}

function is(value: string, wanted: string): boolean {
  return value.toLowerCase() === wanted.toLowerCase();
}

function sortBy(
  objects: readonly JsonObject[],
  keysOf: (object: JsonObject) => readonly string[],
): readonly JsonObject[] {
  const keyed = objects.map((object) => ({ object, keys: keysOf(object) }));
  return keyed.sort((a, b) => compare(a.keys, b.keys)).map(({ object }) => object);
}

function compare(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((key, at) => key !== b[at]);
  if (i < 0) return 0;
  return (a[i] ?? "") < (b[i] ?? "") ? -1 : 1;
}
