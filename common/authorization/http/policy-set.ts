/** The L7 policies that are attached at one place, indexed for matching. They do not change. */
import type { L7Authorization } from "#common/model/waypoint/policy.ts";
import { COMPILE_SLICE_MS } from "../limits.ts";
import { RuleIndex } from "../rule-index.ts";
import { CompiledHttpRule, compareHttpRules, type Layer } from "./compile.ts";
import { RequestSpaces, requestKeySpace } from "./request-key.ts";
import type { RequestView } from "./request-view.ts";

type Index = RuleIndex<CompiledHttpRule, RequestView>;

/** Compiling that lets others have their turn. */
export interface Slices {
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Resolves when others have had their turn. */
  readonly pause: () => Promise<unknown>;
}

export class HttpPolicySet {
  readonly deny: Index;
  readonly allow: Index;
  readonly custom: Index;
  /** AUDIT, and of every other action what is in dry run. */
  readonly telling: Index;
  /** Whether an ALLOW policy is among them, even one without rules. */
  readonly hasAllow: boolean;
  readonly hasDryRunAllow: boolean;

  private constructor(policies: readonly L7Authorization[], spaces: RequestSpaces) {
    const scheme = {
      compare: compareHttpRules,
      keySpace: requestKeySpace,
      keyProbe: (space: string) => spaces.probe(space),
    };
    const newIndex = (): Index => new RuleIndex(scheme);
    this.deny = newIndex();
    this.allow = newIndex();
    this.custom = newIndex();
    this.telling = newIndex();
    const allows = policies.filter(({ action }) => action === "allow");
    this.hasAllow = allows.some(({ dryRun }) => !dryRun);
    this.hasDryRunAllow = allows.some(({ dryRun }) => dryRun);
  }

  static compile(policies: readonly L7Authorization[], layer: Layer): HttpPolicySet {
    const spaces = new RequestSpaces();
    const set = new HttpPolicySet(policies, spaces);
    for (const rule of compiledRules(policies, layer, spaces)) set.#indexOf(rule).add(rule);
    return set;
  }

  /** The same, a little at a time. */
  static async compileInSlices(
    policies: readonly L7Authorization[],
    layer: Layer,
    { now, pause }: Slices,
  ): Promise<HttpPolicySet> {
    const spaces = new RequestSpaces();
    const set = new HttpPolicySet(policies, spaces);
    let sliceBegan = now();
    for (const rule of compiledRules(policies, layer, spaces)) {
      set.#indexOf(rule).add(rule);
      if (now() - sliceBegan < COMPILE_SLICE_MS) continue;
      await pause();
      sliceBegan = now();
    }
    return set;
  }

  #indexOf({ policy: { action, dryRun } }: CompiledHttpRule): Index {
    return dryRun || action === "audit" ? this.telling : this[action];
  }
}

function* compiledRules(
  policies: readonly L7Authorization[],
  layer: Layer,
  spaces: RequestSpaces,
): Generator<CompiledHttpRule> {
  for (const policy of policies) {
    for (let i = 0; i < policy.rules.length; i++) {
      yield new CompiledHttpRule(policy, i, layer, spaces);
    }
  }
}
