/**
 * Finds the few rules that can match a connection among very many: each rule is filed under the
 * values that one of its clauses needs, and a connection looks up only its own values. Rules that
 * need no particular value are tried one by one.
 */
import type { CompiledRule } from "./compile.ts";
import type { ConnectionView } from "./connection-view.ts";
import { type KeyProbe, keyProbe, keySpace } from "./index-key.ts";
import { LINEAR_RULES } from "./limits.ts";

export class RuleIndex {
  readonly rules: readonly CompiledRule[];
  readonly #unfiled: number[] = [];
  readonly #filed = new Map<string, number[]>();
  readonly #probes: readonly KeyProbe[];

  constructor(rules: readonly CompiledRule[]) {
    this.rules = rules;
    if (rules.length <= LINEAR_RULES)
      rules.forEach((_, ordinal) => void this.#unfiled.push(ordinal));
    else this.#fileAll();
    const spaces = new Set<string>();
    for (const key of this.#filed.keys()) spaces.add(keySpace(key));
    this.#probes = [...spaces].map(keyProbe);
  }

  /** The first rule (in list order) for which `matches` holds, of those that can match at all. */
  first(view: ConnectionView, matches: (rule: CompiledRule) => boolean): CompiledRule | undefined {
    let best = this.rules.length;
    for (const candidates of this.#candidates(view)) {
      for (const ordinal of candidates) {
        if (ordinal >= best) break;
        const rule = this.rules[ordinal];
        if (rule !== undefined && matches(rule)) best = ordinal;
      }
    }
    return this.rules[best];
  }

  /** Every rule for which `matches` holds, in list order. */
  all(view: ConnectionView, matches: (rule: CompiledRule) => boolean): CompiledRule[] {
    const ordinals = new Set<number>();
    for (const candidates of this.#candidates(view)) {
      for (const ordinal of candidates) ordinals.add(ordinal);
    }
    const ordered = [...ordinals].sort((a, b) => a - b);
    return ordered.flatMap((ordinal) => this.rules[ordinal] ?? []).filter(matches);
  }

  /** Lists of ordinals, each ascending. */
  #candidates(view: ConnectionView): readonly (readonly number[])[] {
    const lists: (readonly number[])[] = [this.#unfiled];
    for (const probe of this.#probes) {
      const key = probe(view);
      const list = key === undefined ? undefined : this.#filed.get(key);
      if (list !== undefined) lists.push(list);
    }
    return lists;
  }

  #fileAll(): void {
    const counts = new Map<string, number>();
    for (const rule of this.rules) {
      for (const keys of rule.keys) {
        for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    for (let ordinal = 0; ordinal < this.rules.length; ordinal++) {
      const rule = this.rules[ordinal];
      const keys = rule && rarestKeys(rule, counts);
      if (keys === undefined) this.#unfiled.push(ordinal);
      else for (const key of keys) this.#file(key, ordinal);
    }
  }

  #file(key: string, ordinal: number): void {
    const list = this.#filed.get(key);
    if (list === undefined) this.#filed.set(key, [ordinal]);
    else if (list[list.length - 1] !== ordinal) list.push(ordinal);
  }
}

/** The clause's keys that the fewest rules share; undefined if no clause needs a value. */
function rarestKeys(
  rule: CompiledRule,
  counts: ReadonlyMap<string, number>,
): readonly string[] | undefined {
  if (rule.keys.length < 2) return rule.keys[0];
  let best: readonly string[] | undefined;
  let lowest = Number.POSITIVE_INFINITY;
  for (const keys of rule.keys) {
    let cost = 0;
    for (const key of keys) cost += counts.get(key) ?? 0;
    if (cost < lowest) {
      best = keys;
      lowest = cost;
    }
  }
  return best;
}
