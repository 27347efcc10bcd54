/**
 * The objects of a source as it has them now, beside those in force: which are different follows
 * what changed, however many there are.
 */
import type { ChangedObjects } from "#common/kubernetes/folder-content.ts";
import type { Inventory } from "#common/kubernetes/inventory.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";

export class SourceObjects {
  readonly #present = new Map<string, KubernetesObject>();
  readonly #kinds = new Map<string, number>();
  /** Keys whose object may be another one than that in force. */
  readonly #open = new Set<string>();

  /** How many objects there are of each kind that is there. */
  get kinds(): Inventory {
    return this.#kinds;
  }

  get size(): number {
    return this.#present.size;
  }

  get(key: string): KubernetesObject | undefined {
    return this.#present.get(key);
  }

  /** Takes in what the source says changed. */
  change(changed: ChangedObjects): void {
    for (const [key, object] of changed) {
      const before = this.#present.get(key);
      if (before !== undefined) this.#count(before.kind, -1);
      if (object !== undefined) this.#count(object.kind, 1);
      if (object === undefined) this.#present.delete(key);
      else this.#present.set(key, object);
      this.#open.add(key);
    }
  }

  /** Keys that are not settled yet. */
  open(): readonly string[] {
    return [...this.#open];
  }

  /** What is in force of this key is what the source has. */
  settle(key: string): void {
    this.#open.delete(key);
  }

  #count(kind: string, difference: number): void {
    const count = (this.#kinds.get(kind) ?? 0) + difference;
    if (count > 0) this.#kinds.set(kind, count);
    else this.#kinds.delete(kind);
  }
}
