/** From the rules of one port to a table. */
import type { HttpRoutes, HttpRule, Origin } from "#common/model/waypoint/http-route.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { COMPILE_SLICE_MS, TABLE_MATCHES } from "./limits.ts";
import { compileTests } from "./match-conditions.ts";
import { PathIndex } from "./path-index.ts";
import { specificityKey } from "./precedence.ts";
import { compileRoute } from "./route.ts";
import { type Candidate, RouteTable, RuleSet } from "./route-table.ts";

/** Something in a rule that could not be compiled: that match holds for no request. */
export interface RouteProblem {
  readonly origin: Origin;
  readonly message: string;
}

export interface CompiledRoutes {
  readonly table: RouteTable;
  readonly problems: readonly RouteProblem[];
}

/**
 * Compiles all at once. Throws MeshError INVALID_RESOURCE for more matches than a table may have.
 */
export function compileRoutes(routes: HttpRoutes): CompiledRoutes {
  const steps = compileSteps(routes);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export interface Slices {
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Lets others run, such as `setImmediate` of node:timers/promises. */
  readonly pause: () => Promise<unknown>;
}

/** Compiles in slices of COMPILE_SLICE_MS. Rejects as `compileRoutes` throws. */
export async function compileInSlices(
  routes: HttpRoutes,
  { now, pause }: Slices,
): Promise<CompiledRoutes> {
  const steps = compileSteps(routes);
  let began = now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (now() - began < COMPILE_SLICE_MS) continue;
    await pause();
    began = now();
  }
}

/** One match, or one list of the index, per step. */
function* compileSteps({ precedence, rules }: HttpRoutes): Generator<undefined, CompiledRoutes> {
  const problems: RouteProblem[] = [];
  const keyOf: KeyOf = precedence === "listed" ? (_, order) => order : specificityKey;
  const producer = new RuleSetBuilder(keyOf, problems);
  const consumers = new Map<string, RuleSetBuilder>();
  for (const rule of rules) {
    const namespace = rule.consumerNamespace;
    const builder = namespace === undefined ? producer : consumers.get(namespace);
    const added = builder ?? new RuleSetBuilder(specificityKey, problems);
    if (namespace !== undefined) consumers.set(namespace, added);
    yield* added.add(rule);
  }
  const byNamespace = new Map<string, RuleSet>();
  for (const [namespace, builder] of consumers) byNamespace.set(namespace, yield* builder.finish());
  return { table: new RouteTable(yield* producer.finish(), byNamespace), problems };
}

type KeyOf = typeof specificityKey;

class RuleSetBuilder {
  readonly #index = new PathIndex();
  readonly #candidates: (Candidate | undefined)[] = [];
  readonly #keyOf: KeyOf;
  readonly #problems: RouteProblem[];

  constructor(keyOf: KeyOf, problems: RouteProblem[]) {
    this.#keyOf = keyOf;
    this.#problems = problems;
  }

  *add(rule: HttpRule): Generator<undefined, void> {
    for (const match of rule.matches.length > 0 ? rule.matches : [undefined]) {
      this.#addMatch(rule, match);
      yield;
    }
  }

  *finish(): Generator<undefined, RuleSet> {
    yield* this.#index.finish();
    return new RuleSet(this.#index, this.#candidates);
  }

  #addMatch(rule: HttpRule, match: HttpRule["matches"][number] | undefined): void {
    const order = this.#candidates.length;
    if (order >= TABLE_MATCHES) {
      throw new MeshError("INVALID_RESOURCE", `a port has more than ${TABLE_MATCHES} matches`, {
        hint: "split the routes among several services",
      });
    }
    const report = (message: string): void => {
      this.#problems.push({ origin: rule.origin, message });
    };
    const tests = match === undefined ? [] : compileTests(match, report);
    const path = tests && this.#index.add(match?.path, this.#keyOf(match, order), report);
    const holds = tests !== undefined && path !== false;
    this.#candidates.push(
      holds ? { route: compileRoute(rule, match, report), path, tests } : undefined,
    );
  }
}
