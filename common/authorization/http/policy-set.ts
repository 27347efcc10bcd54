/** The L7 policies that are attached at one place, indexed for matching. They do not change. */
import type { L7Authorization } from "#common/model/waypoint/policy.ts";
import { RuleIndex } from "../rule-index.ts";
import { CompiledHttpRule, compareHttpRules, type Layer } from "./compile.ts";
import { RequestSpaces, requestKeySpace } from "./request-key.ts";
import type { RequestView } from "./request-view.ts";

type Index = RuleIndex<CompiledHttpRule, RequestView>;

export class HttpPolicySet {
  readonly deny: Index;
  readonly allow: Index;
  readonly custom: Index;
  /** AUDIT, and of every other action what is in dry run. */
  readonly telling: Index;
  /** Whether an ALLOW policy is among them, even one without rules. */
  readonly hasAllow: boolean;
  readonly hasDryRunAllow: boolean;

  constructor(policies: readonly L7Authorization[], layer: Layer) {
    const spaces = new RequestSpaces();
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
    for (const policy of policies) {
      const index = this.#indexOf(policy);
      for (let i = 0; i < policy.rules.length; i++) {
        index.add(new CompiledHttpRule(policy, i, layer, spaces));
      }
    }
    const allows = policies.filter(({ action }) => action === "allow");
    this.hasAllow = allows.some(({ dryRun }) => !dryRun);
    this.hasDryRunAllow = allows.some(({ dryRun }) => dryRun);
  }

  #indexOf({ action, dryRun }: L7Authorization): Index {
    return dryRun || action === "audit" ? this.telling : this[action];
  }
}
