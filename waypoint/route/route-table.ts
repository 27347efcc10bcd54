/** The rules of one port, compiled: immutable, and asked once per request. */
import type { RequestHead } from "../http/message.ts";
import type { RequestTest } from "./match-conditions.ts";
import type { PathIndex, PathTest } from "./path-index.ts";
import { orderOf } from "./precedence.ts";
import { type Caller, RequestView } from "./request-view.ts";
import type { Route } from "./route.ts";

/** One match, compiled. Its place in the table's list is its order. */
export interface Candidate {
  readonly route: Route;
  readonly path: PathTest | undefined;
  readonly tests: readonly RequestTest[];
}

/** Rules that compete with each other: the producer's, or one consumer namespace's. */
export class RuleSet {
  readonly #index: PathIndex;
  readonly #candidates: readonly (Candidate | undefined)[];

  /** `index` holds a key for every candidate that is there. */
  constructor(index: PathIndex, candidates: readonly (Candidate | undefined)[]) {
    this.#index = index;
    this.#candidates = candidates;
  }

  match(request: RequestView): Route | undefined {
    const best = this.#index.find(request, (keys, limit) => this.#first(keys, limit, request));
    return best === Infinity ? undefined : this.#candidates[orderOf(best)]?.route;
  }

  #first(keys: readonly number[], limit: number, request: RequestView): number {
    for (const key of keys) {
      if (key >= limit) return limit;
      const candidate = this.#candidates[orderOf(key)];
      if (candidate !== undefined && holds(candidate, request)) return key;
    }
    return limit;
  }
}

function holds({ path, tests }: Candidate, request: RequestView): boolean {
  if (path !== undefined && !path(request)) return false;
  for (const test of tests) if (!test(request)) return false;
  return true;
}

export class RouteTable {
  readonly #producer: RuleSet;
  readonly #consumers: ReadonlyMap<string, RuleSet>;

  constructor(producer: RuleSet, consumers: ReadonlyMap<string, RuleSet>) {
    this.#producer = producer;
    this.#consumers = consumers;
  }

  /** Whether the namespace has rules of its own. */
  isConsumer(namespace: string): boolean {
    return this.#consumers.has(namespace);
  }

  /**
   * The route of a request; undefined: no rule matches. A namespace that has consumer rules has
   * only these, as Gateway API's GEP-1324 says: they take the place of the producer's.
   */
  match(head: RequestHead, caller: Caller): Route | undefined {
    const rules = this.#consumers.get(caller.namespace) ?? this.#producer;
    return rules.match(new RequestView(head, caller));
  }
}
