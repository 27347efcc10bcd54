/**
 * Tells objects that were deleted from objects that were lost with their files. A lost Pod or
 * policy must not open what its deletion would: it stays in force until its file is back, or
 * somebody says that it is meant to be gone.
 */
import type { Inventory } from "#common/kubernetes/inventory.ts";
import { LOST_KIND_OBJECTS } from "#istiod-lite/limits.ts";

export interface SourceContent {
  /** Keys, `<kind>/<namespace>/<name>`, of objects in force that the source does not have now. */
  readonly missing: readonly string[];
  /** How many objects of each kind the source has now; none of a kind that is not there. */
  readonly present: ReadonlyMap<string, number>;
  /** What should be there; undefined where nobody says. */
  readonly inventory: Inventory | undefined;
  /** There was an inventory before. */
  readonly hadInventory: boolean;
  /** Files that cannot be read as objects: each may be one that is missed. */
  readonly brokenFiles: number;
}

export interface Loss {
  /** For people: what is missing. */
  readonly reason: string;
  /** Objects that are in force although the source does not have them. */
  readonly held: ReadonlySet<string>;
}

/** What the source has lost; undefined where everything that is missing was deleted. */
export function findLoss(content: SourceContent): Loss | undefined {
  const { missing, present, inventory, hadInventory } = content;
  if (inventory !== undefined) return shortOf(inventory, present, missing, content.brokenFiles);
  if (missing.length === 0) return undefined;
  if (hadInventory) return { reason: "its inventory is gone", held: new Set(missing) };
  if (present.size === 0) return { reason: "it is empty", held: new Set(missing) };
  const gone = [...countByKind(missing)].filter(
    ([kind, count]) => count > LOST_KIND_OBJECTS && !present.has(kind),
  );
  if (gone.length === 0) return undefined;
  const reason = gone.map(([kind, count]) => `all ${count} of kind ${kind} are gone`).join(", ");
  const kinds = new Set(gone.map(([kind]) => kind));
  return { reason, held: new Set(missing.filter((key) => kinds.has(kindOf(key)))) };
}

function shortOf(
  inventory: Inventory,
  now: ReadonlyMap<string, number>,
  missing: readonly string[],
  brokenFiles: number,
): Loss | undefined {
  const short = [...inventory].filter(
    ([kind, count]) => (now.get(kind) ?? 0) + brokenFiles < count,
  );
  if (short.length === 0) return undefined;
  const kinds = new Set(short.map(([kind]) => kind));
  const reason = short
    .map(([kind, count]) => `it has ${now.get(kind) ?? 0} of the ${count} of kind ${kind}`)
    .join(", ");
  return { reason, held: new Set(missing.filter((key) => kinds.has(kindOf(key)))) };
}

function countByKind(keys: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(kindOf(key), (counts.get(kindOf(key)) ?? 0) + 1);
  return counts;
}

function kindOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
