/** Policies of one kind by name, and by what they are attached to. */
import { addToSet, deleteFromSet } from "../multi-map.ts";

interface Entry<Value> {
  readonly value: Value;
  readonly targets: readonly string[];
}

export class TargetIndex<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #byTarget = new Map<string, Set<string>>();

  /** Adds, replaces or (without a value) removes; returns every target it had or has. */
  set(name: string, value: Value | undefined, targets: readonly string[]): ReadonlySet<string> {
    const before = this.#entries.get(name)?.targets ?? [];
    for (const target of before) deleteFromSet(this.#byTarget, target, name);
    if (value === undefined) this.#entries.delete(name);
    else this.#entries.set(name, { value, targets });
    const now = value === undefined ? [] : targets;
    for (const target of now) addToSet(this.#byTarget, target, name);
    return new Set([...before, ...now]);
  }

  get(name: string): Value | undefined {
    return this.#entries.get(name)?.value;
  }

  targetsOf(name: string): readonly string[] {
    return this.#entries.get(name)?.targets ?? [];
  }

  /** Names of what is attached to the target. */
  attachedTo(target: string): readonly string[] {
    return [...(this.#byTarget.get(target) ?? [])];
  }

  /** What is attached to any of these, each once, ordered by name. */
  of(targets: readonly string[]): readonly Value[] {
    const names = new Set(targets.flatMap((target) => this.attachedTo(target)));
    return [...names].sort().flatMap((name) => this.#entries.get(name)?.value ?? []);
  }

  *all(): Generator<Value> {
    for (const { value } of this.#entries.values()) yield value;
  }
}
