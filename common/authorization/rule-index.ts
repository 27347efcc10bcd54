/**
 * Finds the few rules that can match a connection among very many: each rule is filed under the
 * values that one of its clauses needs, and a connection looks up only its own values. Where many
 * rules share a value they are filed again by another of their clauses, and so on. Rules that need
 * no particular value are tried one by one. Adding or removing a rule costs what that rule weighs,
 * however many others there are.
 */
import { type CompiledRule, compareRules } from "./compile.ts";
import type { ConnectionView } from "./connection-view.ts";
import { type KeyProbe, keyProbe, keySpace } from "./index-key.ts";
import { LINEAR_RULES } from "./limits.ts";

type Matches = (rule: CompiledRule) => boolean;
type Visit = (rule: CompiledRule) => void;

export class RuleIndex {
  readonly #top = new Shelf([]);

  get size(): number {
    return this.#top.size;
  }

  /** In the order in which they were added. */
  rules(): IterableIterator<CompiledRule> {
    return this.#top.rules();
  }

  add(rule: CompiledRule): void {
    if (!this.#top.has(rule)) this.#top.add(rule);
  }

  delete(rule: CompiledRule): void {
    if (this.#top.has(rule)) this.#top.delete(rule);
  }

  /** The first rule (see `compareRules`) for which `matches` holds; `best` if that comes before. */
  first(
    view: ConnectionView,
    matches: Matches,
    best: CompiledRule | undefined,
  ): CompiledRule | undefined {
    let first = best;
    this.#top.visit(view, (rule) => {
      if (first !== undefined && compareRules(first, rule) <= 0) return;
      if (matches(rule)) first = rule;
    });
    return first;
  }

  /** Hands every rule for which `matches` holds to `found`, in no order, some perhaps twice. */
  all(view: ConnectionView, matches: Matches, found: Visit): void {
    this.#top.visit(view, (rule) => {
      if (matches(rule)) found(rule);
    });
  }
}

/** What lies under one value: a short list, or a shelf of its own once the list is long. */
type Pile = CompiledRule[] | Shelf;

interface Space {
  readonly probe: KeyProbe;
  /** Keys in use; a space without any is not looked into. */
  keys: number;
}

/** Rules filed by one clause each, of those that the keys on the way here do not meet already. */
class Shelf {
  readonly #path: readonly string[];
  /** Which clause a rule is filed by; -1 if it needs no further value. */
  readonly #clauses = new Map<CompiledRule, number>();
  readonly #unfiled = new Set<CompiledRule>();
  readonly #filed = new Map<string, Pile>();
  readonly #spaces = new Map<string, Space>();

  constructor(path: readonly string[]) {
    this.#path = path;
  }

  get size(): number {
    return this.#clauses.size;
  }

  has(rule: CompiledRule): boolean {
    return this.#clauses.has(rule);
  }

  rules(): IterableIterator<CompiledRule> {
    return this.#clauses.keys();
  }

  add(rule: CompiledRule): void {
    const clause = this.#rarestClause(rule);
    this.#clauses.set(rule, clause);
    if (clause < 0) this.#unfiled.add(rule);
    else for (const key of distinct(rule.keys[clause])) this.#file(key, rule);
  }

  delete(rule: CompiledRule): void {
    const clause = this.#clauses.get(rule) ?? -1;
    this.#clauses.delete(rule);
    this.#unfiled.delete(rule);
    for (const key of distinct(rule.keys[clause])) this.#unfile(key, rule);
  }

  visit(view: ConnectionView, visit: Visit): void {
    for (const rule of this.#unfiled) visit(rule);
    for (const { probe } of this.#spaces.values()) {
      const key = probe(view);
      const pile = key === undefined ? undefined : this.#filed.get(key);
      if (pile === undefined) continue;
      if (pile instanceof Shelf) pile.visit(view, visit);
      else for (const rule of pile) visit(rule);
    }
  }

  /** The clause whose values the fewest rules share so far. */
  #rarestClause({ keys }: CompiledRule): number {
    if (keys.length === 1 && this.#path.length === 0) return 0;
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < keys.length; i++) {
      const clause = keys[i] ?? [];
      if (this.#path.some((key) => clause.includes(key))) continue;
      let cost = 0;
      for (const key of clause) cost += sizeOf(this.#filed.get(key));
      if (cost >= lowest) continue;
      best = i;
      lowest = cost;
    }
    return best;
  }

  #file(key: string, rule: CompiledRule): void {
    const pile = this.#filed.get(key);
    if (pile === undefined) this.#open(key, rule);
    else if (pile instanceof Shelf) pile.add(rule);
    else if (pile.push(rule) > LINEAR_RULES) {
      const shelf = new Shelf([...this.#path, key]);
      for (const each of pile) shelf.add(each);
      this.#filed.set(key, shelf);
    }
  }

  #open(key: string, rule: CompiledRule): void {
    this.#filed.set(key, [rule]);
    const name = keySpace(key);
    const space = this.#spaces.get(name);
    if (space === undefined) this.#spaces.set(name, { probe: keyProbe(name), keys: 1 });
    else space.keys++;
  }

  #unfile(key: string, rule: CompiledRule): void {
    const pile = this.#filed.get(key);
    if (pile === undefined) return;
    if (pile instanceof Shelf) pile.delete(rule);
    else removeItem(pile, rule);
    if (sizeOf(pile) > 0) return;
    this.#filed.delete(key);
    const name = keySpace(key);
    const space = this.#spaces.get(name);
    if (space === undefined) return;
    space.keys--;
    if (space.keys === 0) this.#spaces.delete(name);
  }
}

function distinct(keys: readonly string[] = []): Iterable<string> {
  return keys.length < 2 ? keys : new Set(keys);
}

function sizeOf(pile: Pile | undefined): number {
  if (pile === undefined) return 0;
  return pile instanceof Shelf ? pile.size : pile.length;
}

function removeItem(list: CompiledRule[], item: CompiledRule): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
