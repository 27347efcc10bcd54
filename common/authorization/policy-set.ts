/**
 * Policies that apply together, indexed for matching and changed one by one: those of the whole
 * mesh, of one namespace, or those that a workload names. What applies to a workload is a few such
 * sets side by side, so that a change costs what changed and never what there is.
 */
import type { Authorization } from "#common/model/authorization.ts";
import {
  type CompiledPolicy,
  type CompiledRule,
  compareRules,
  compareText,
  compilePolicy,
} from "./compile.ts";
import type { ConnectionView } from "./connection-view.ts";
import { keyProbe, keySpace } from "./index-key.ts";
import { type IndexScheme, RuleIndex } from "./rule-index.ts";

/** Of rules about connections. */
export type ConnectionRuleIndex = RuleIndex<CompiledRule, ConnectionView>;

const SCHEME: IndexScheme<CompiledRule, ConnectionView> = {
  compare: compareRules,
  keySpace,
  keyProbe,
};

export class PolicySet {
  readonly deny = new RuleIndex(SCHEME);
  readonly allow = new RuleIndex(SCHEME);
  readonly dryRun = new RuleIndex(SCHEME);
  readonly audit = new RuleIndex(SCHEME);
  readonly #byKey = new Map<string, CompiledPolicy>();
  readonly #counts = { enforcedAllow: 0, dryRun: 0, dryRunAllow: 0, audit: 0 };

  get size(): number {
    return this.#byKey.size;
  }

  /** Whether an enforced ALLOW policy is among them, even one without rules. */
  get hasAllow(): boolean {
    return this.#counts.enforcedAllow > 0;
  }

  get hasDryRun(): boolean {
    return this.#counts.dryRun > 0;
  }

  /** As `hasAllow`, of the dry-run ones. */
  get hasDryRunAllow(): boolean {
    return this.#counts.dryRunAllow > 0;
  }

  /** Whether there is nothing in it that only tells: no dry run, no AUDIT. */
  get decidesAll(): boolean {
    return this.#counts.dryRun === 0 && this.#counts.audit === 0;
  }

  policies(): IterableIterator<CompiledPolicy> {
    return this.#byKey.values();
  }

  /** Adds the policy, in place of one of its name. */
  put(policy: Authorization): void {
    const compiled = compilePolicy(policy);
    this.delete(compiled.key);
    this.#byKey.set(compiled.key, compiled);
    this.#count(policy, 1);
    const index = this.#indexOf(policy);
    for (const rule of compiled.rules) index.add(rule);
  }

  /** Does nothing for a key that is not in it. */
  delete(key: string): void {
    const compiled = this.#byKey.get(key);
    if (compiled === undefined) return;
    this.#byKey.delete(key);
    this.#count(compiled.policy, -1);
    const index = this.#indexOf(compiled.policy);
    for (const rule of compiled.rules) index.delete(rule);
  }

  #count({ action, dryRun }: Authorization, by: 1 | -1): void {
    const counts = this.#counts;
    if (action === "audit") counts.audit += by;
    else if (dryRun) counts.dryRun += by;
    if (action !== "allow") return;
    if (dryRun) counts.dryRunAllow += by;
    else counts.enforcedAllow += by;
  }

  /** AUDIT never decides, so that a dry run of it is the same. */
  #indexOf({ action, dryRun }: Authorization): ConnectionRuleIndex {
    if (action === "audit") return this.audit;
    if (dryRun) return this.dryRun;
    return action === "deny" ? this.deny : this.allow;
  }
}

/**
 * What applies to one workload at one moment. The sets are shared and go on changing: whoever holds
 * this compares its identity with that of the workload's current one.
 */
export class CompiledPolicies {
  readonly sets: readonly PolicySet[];

  /** No policy may be in two of the sets. */
  constructor(sets: readonly PolicySet[]) {
    this.sets = sets;
  }

  get hasAllow(): boolean {
    return this.sets.some((set) => set.hasAllow);
  }

  get hasDryRunAllow(): boolean {
    return this.sets.some((set) => set.hasDryRunAllow);
  }

  /** All of them, by key. */
  get policies(): readonly CompiledPolicy[] {
    const all = this.sets.flatMap((set) => [...set.policies()]);
    return all.sort((a, b) => compareText(a.key, b.key));
  }
}

const compiledLists = new WeakMap<readonly Authorization[], CompiledPolicies>();

/**
 * Indexes policies that apply to one workload. Cached by the identity of the list, which must
 * therefore not be changed afterwards. Of several policies of one name the last one counts.
 */
export function compilePolicies(list: readonly Authorization[]): CompiledPolicies {
  const known = compiledLists.get(list);
  if (known !== undefined) return known;
  const set = new PolicySet();
  for (const policy of list) set.put(policy);
  const compiled = new CompiledPolicies([set]);
  compiledLists.set(list, compiled);
  return compiled;
}
