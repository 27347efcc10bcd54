/**
 * Finds the few rules that can match a connection among very many: each rule is filed under the values
 * that one of its clauses needs, and a connection looks up only its own values. Rules that need no
 * particular value are tried one by one.
 */
import type { CompiledClause, CompiledRule } from "./compile.ts";
import type { ConnectionView } from "./connection-view.ts";
import { type KeyProbe, keyProbe, keySpace } from "./index-key.ts";

/** Up to this many rules are simply tried in turn, which is cheaper than look-ups. */
const LINEAR_RULES = 8;

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
    this.#probes = [...new Set([...this.#filed.keys()].map(keySpace))].map(keyProbe);
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
      for (const keys of rule.clauses.map(clauseKeys)) {
        for (const key of keys ?? []) counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    this.rules.forEach((rule, ordinal) => {
      const keys = rarestKeys(rule, counts);
      if (keys === undefined) this.#unfiled.push(ordinal);
      else for (const key of new Set(keys)) this.#file(key, ordinal);
    });
  }

  #file(key: string, ordinal: number): void {
    const list = this.#filed.get(key);
    if (list === undefined) this.#filed.set(key, [ordinal]);
    else list.push(ordinal);
  }
}

/** The keys of the clause that the fewest connections can meet; undefined if no clause needs a value. */
function rarestKeys(
  rule: CompiledRule,
  counts: ReadonlyMap<string, number>,
): readonly string[] | undefined {
  let best: { keys: readonly string[]; cost: number } | undefined;
  for (const keys of rule.clauses.map(clauseKeys)) {
    if (keys === undefined) continue;
    const cost = keys.reduce((sum, key) => sum + (counts.get(key) ?? 0), 0);
    if (best === undefined || cost < best.cost) best = { keys, cost };
  }
  return best?.keys;
}

/** One of these keys is had by every connection that the clause lets through. */
function clauseKeys(clause: CompiledClause): readonly string[] | undefined {
  const all: string[] = [];
  for (const match of clause.matches) {
    const keys = match.tests.filter((test) => !test.negative).map((test) => test.keys());
    const known = keys.filter((list) => list !== undefined);
    const shortest = known.reduce<readonly string[] | undefined>(
      (best, list) => (best === undefined || list.length < best.length ? list : best),
      undefined,
    );
    if (shortest === undefined) return undefined;
    all.push(...shortest);
  }
  return all;
}
