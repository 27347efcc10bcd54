/**
 * What a folder of published objects should hold: how many of each kind, in a small hidden file
 * beside them. Whoever removes objects lowers its numbers first, so that files which vanish without
 * that are known to be lost, not deleted.
 */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";

/** Relative to the folder. Readers of objects pass hidden files by. */
export const INVENTORY_FILE = ".inventory.json";

/** At least how many objects there are, by kind. */
export type Inventory = ReadonlyMap<string, number>;

export function takeInventory(objects: Iterable<Pick<KubernetesObject, "kind">>): Inventory {
  const counts = new Map<string, number>();
  for (const { kind } of objects) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

export function formatInventory(inventory: Inventory): string {
  const entries = [...inventory].filter(([, count]) => count > 0).sort();
  return `${JSON.stringify(Object.fromEntries(entries))}\n`;
}

/** Undefined for anything that `formatInventory` does not write. */
export function parseInventory(text: string): Inventory | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const isCount = (count: unknown) => Number.isInteger(count) && Number(count) >= 0;
  return entries.every(([, count]) => isCount(count)) ? new Map(entries) : undefined;
}
