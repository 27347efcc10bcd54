/**
 * Policies made ready for matching. The list is indexed once; a rule is compiled when a connection
 * first reaches it. All of it is cached by identity, so that an unchanged policy is not worked on
 * again.
 */
import { type Authorization, policyKey, type Rule } from "#common/model/authorization.ts";
import { compileMatch, type FieldTest } from "./field-test.ts";
import { RuleIndex } from "./rule-index.ts";
import { type RuleKeys, ruleKeys } from "./rule-keys.ts";

export interface CompiledMatch {
  /** Index in its clause. */
  readonly match: number;
  /** Never empty: a match without fields never matches, and is left out. */
  readonly tests: readonly FieldTest[];
}

export interface CompiledClause {
  /** Index in its rule. */
  readonly clause: number;
  /** Empty when every match had no field: such a clause never holds. */
  readonly matches: readonly CompiledMatch[];
}

export class CompiledRule {
  readonly policy: Authorization;
  /** `<namespace>/<name>`. */
  readonly key: string;
  /** Index in the policy's rules. */
  readonly rule: number;
  #clauses: readonly CompiledClause[] | undefined;
  #keys: RuleKeys | undefined;

  constructor(policy: Authorization, key: string, rule: number) {
    this.policy = policy;
    this.key = key;
    this.rule = rule;
  }

  /** Clauses that have no match at all always hold, and are left out. */
  get clauses(): readonly CompiledClause[] {
    this.#clauses ??= compileClauses(this.#source);
    return this.#clauses;
  }

  get keys(): RuleKeys {
    this.#keys ??= ruleKeys(this.#source);
    return this.#keys;
  }

  get #source(): Rule {
    return this.policy.rules[this.rule] ?? NO_CLAUSES;
  }
}

const NO_CLAUSES: Rule = { clauses: [] };

export interface CompiledPolicy {
  readonly policy: Authorization;
  readonly key: string;
  readonly rules: readonly CompiledRule[];
}

export interface CompiledPolicies {
  /** All policies, ordered by key: verdicts do not depend on the order of arrival. */
  readonly policies: readonly CompiledPolicy[];
  /** Whether any enforced ALLOW policy exists, even one without rules. */
  readonly hasAllow: boolean;
  readonly deny: RuleIndex;
  readonly allow: RuleIndex;
  readonly dryRun: RuleIndex;
}

const compiledLists = new WeakMap<readonly Authorization[], CompiledPolicies>();
const compiledPolicies = new WeakMap<Authorization, CompiledPolicy>();

/**
 * Compiles the policies that apply to one workload (global, its namespace's, and those it names).
 * The result is cached by the identity of the list, which must therefore not be changed afterwards.
 */
export function compilePolicies(list: readonly Authorization[]): CompiledPolicies {
  const known = compiledLists.get(list);
  if (known !== undefined) return known;
  const policies = list.map(compilePolicy).sort((a, b) => compareText(a.key, b.key));
  const index = (wanted: (policy: Authorization) => boolean): RuleIndex =>
    new RuleIndex(policies.filter((p) => wanted(p.policy)).flatMap((p) => p.rules));
  const compiled: CompiledPolicies = {
    policies,
    hasAllow: list.some((policy) => policy.action === "allow" && !policy.dryRun),
    deny: index((policy) => policy.action === "deny" && !policy.dryRun),
    allow: index((policy) => policy.action === "allow" && !policy.dryRun),
    dryRun: index((policy) => policy.dryRun),
  };
  compiledLists.set(list, compiled);
  return compiled;
}

function compilePolicy(policy: Authorization): CompiledPolicy {
  const known = compiledPolicies.get(policy);
  if (known !== undefined) return known;
  const key = policyKey(policy);
  const rules = policy.rules.map((_, index) => new CompiledRule(policy, key, index));
  const compiled = { policy, key, rules };
  compiledPolicies.set(policy, compiled);
  return compiled;
}

function compileClauses(rule: Rule): CompiledClause[] {
  return rule.clauses.flatMap((clause, index) => {
    if (clause.matches.length === 0) return [];
    const matches = clause.matches
      .map((match, i) => ({ match: i, tests: compileMatch(match) }))
      .filter((match) => match.tests.length > 0);
    return [{ clause: index, matches }];
  });
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
