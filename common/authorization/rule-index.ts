/**
 * Finds the few rules that can match a connection or request (a view) among very many: each rule is
 * filed under the values that one of its clauses needs, and a view looks up only its own values.
 * Where many rules share a value they are filed again by another of their clauses, and so on. Rules
 * that need no particular value are tried one by one. Adding or removing a rule costs what that
 * rule weighs, however many others there are.
 */
import { LINEAR_RULES } from "./limits.ts";

/**
 * One entry for each clause that needs a value: a view that meets the clause has one of its keys.
 * An empty entry is a clause that nothing meets.
 */
export type RuleKeys = readonly (readonly string[])[];

export interface IndexedRule {
  readonly keys: RuleKeys;
}

/**
 * The keys that a view has in one space; undefined when its value does not reach into the space.
 */
export type KeyProbe<View> = (view: View) => string | readonly string[] | undefined;

/** What keys mean, and which of two rules comes first. */
export interface IndexScheme<Rule, View> {
  compare(a: Rule, b: Rule): number;
  /** The part of a key that says how a view's key of the same kind is found. */
  keySpace(key: string): string;
  keyProbe(space: string): KeyProbe<View>;
}

export class RuleIndex<Rule extends IndexedRule, View> {
  readonly #scheme: IndexScheme<Rule, View>;
  readonly #top: Shelf<Rule, View>;

  constructor(scheme: IndexScheme<Rule, View>) {
    this.#scheme = scheme;
    this.#top = new Shelf(scheme, []);
  }

  get size(): number {
    return this.#top.size;
  }

  /** In the order in which they were added. */
  rules(): IterableIterator<Rule> {
    return this.#top.rules();
  }

  add(rule: Rule): void {
    if (!this.#top.has(rule)) this.#top.add(rule);
  }

  delete(rule: Rule): void {
    if (this.#top.has(rule)) this.#top.delete(rule);
  }

  /** The first rule for which `matches` holds; `best` if that comes before. */
  first(view: View, matches: (rule: Rule) => boolean, best: Rule | undefined): Rule | undefined {
    let first = best;
    this.#top.visit(view, (rule) => {
      if (first !== undefined && this.#scheme.compare(first, rule) <= 0) return;
      if (matches(rule)) first = rule;
    });
    return first;
  }

  /** Hands every rule for which `matches` holds to `found`, in no order, some perhaps twice. */
  all(view: View, matches: (rule: Rule) => boolean, found: (rule: Rule) => void): void {
    this.#top.visit(view, (rule) => {
      if (matches(rule)) found(rule);
    });
  }
}

/** What lies under one value: a short list, or a shelf of its own once the list is long. */
type Pile<Rule extends IndexedRule, View> = Rule[] | Shelf<Rule, View>;

interface Space<View> {
  readonly probe: KeyProbe<View>;
  /** Keys in use; a space without any is not looked into. */
  keys: number;
}

/** Rules filed by one clause each, of those that the keys on the way here do not meet already. */
class Shelf<Rule extends IndexedRule, View> {
  readonly #scheme: IndexScheme<Rule, View>;
  readonly #path: readonly string[];
  /** Which clause a rule is filed by; -1 if it needs no further value. */
  readonly #clauses = new Map<Rule, number>();
  readonly #unfiled = new Set<Rule>();
  readonly #filed = new Map<string, Pile<Rule, View>>();
  readonly #spaces = new Map<string, Space<View>>();

  constructor(scheme: IndexScheme<Rule, View>, path: readonly string[]) {
    this.#scheme = scheme;
    this.#path = path;
  }

  get size(): number {
    return this.#clauses.size;
  }

  has(rule: Rule): boolean {
    return this.#clauses.has(rule);
  }

  rules(): IterableIterator<Rule> {
    return this.#clauses.keys();
  }

  add(rule: Rule): void {
    const clause = this.#rarestClause(rule);
    this.#clauses.set(rule, clause);
    if (clause < 0) this.#unfiled.add(rule);
    else for (const key of distinct(rule.keys[clause])) this.#file(key, rule);
  }

  delete(rule: Rule): void {
    const clause = this.#clauses.get(rule) ?? -1;
    this.#clauses.delete(rule);
    this.#unfiled.delete(rule);
    for (const key of distinct(rule.keys[clause])) this.#unfile(key, rule);
  }

  /** Some perhaps twice. */
  visit(view: View, visit: (rule: Rule) => void): void {
    for (const rule of this.#unfiled) visit(rule);
    for (const { probe } of this.#spaces.values()) {
      const keys = probe(view);
      if (typeof keys === "string") this.#visitPile(keys, view, visit);
      else if (keys !== undefined) for (const key of keys) this.#visitPile(key, view, visit);
    }
  }

  #visitPile(key: string, view: View, visit: (rule: Rule) => void): void {
    const pile = this.#filed.get(key);
    if (pile === undefined) return;
    if (pile instanceof Shelf) pile.visit(view, visit);
    else for (const rule of pile) visit(rule);
  }

  /** The clause whose values the fewest rules share so far. */
  #rarestClause({ keys }: Rule): number {
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

  #file(key: string, rule: Rule): void {
    const pile = this.#filed.get(key);
    if (pile === undefined) this.#open(key, rule);
    else if (pile instanceof Shelf) pile.add(rule);
    else if (pile.push(rule) > LINEAR_RULES) {
      const shelf = new Shelf(this.#scheme, [...this.#path, key]);
      for (const each of pile) shelf.add(each);
      this.#filed.set(key, shelf);
    }
  }

  #open(key: string, rule: Rule): void {
    this.#filed.set(key, [rule]);
    const name = this.#scheme.keySpace(key);
    const space = this.#spaces.get(name);
    if (space === undefined) {
      this.#spaces.set(name, { probe: this.#scheme.keyProbe(name), keys: 1 });
    } else space.keys++;
  }

  #unfile(key: string, rule: Rule): void {
    const pile = this.#filed.get(key);
    if (pile === undefined) return;
    if (pile instanceof Shelf) pile.delete(rule);
    else removeItem(pile, rule);
    if (sizeOf(pile) > 0) return;
    this.#filed.delete(key);
    const name = this.#scheme.keySpace(key);
    const space = this.#spaces.get(name);
    if (space === undefined) return;
    space.keys--;
    if (space.keys === 0) this.#spaces.delete(name);
  }
}

function distinct(keys: readonly string[] = []): Iterable<string> {
  return keys.length < 2 ? keys : new Set(keys);
}

function sizeOf<Rule extends IndexedRule, View>(pile: Pile<Rule, View> | undefined): number {
  if (pile === undefined) return 0;
  return pile instanceof Shelf ? pile.size : pile.length;
}

function removeItem<Item>(list: Item[], item: Item): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
