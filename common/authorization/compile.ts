/**
 * One policy made ready for matching. A rule is compiled when a connection first reaches it, and a
 * policy once for all workloads that it applies to.
 */
import { type Authorization, policyKey, type Rule } from "#common/model/authorization.ts";
import { compileMatch, type FieldTest } from "./field-test.ts";
import type { RuleKeys } from "./rule-index.ts";
import { ruleKeys } from "./rule-keys.ts";

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

const compiledPolicies = new WeakMap<Authorization, CompiledPolicy>();

/** Cached by identity: a policy must not be changed afterwards. */
export function compilePolicy(policy: Authorization): CompiledPolicy {
  const known = compiledPolicies.get(policy);
  if (known !== undefined) return known;
  const key = policyKey(policy);
  const rules = policy.rules.map((_, index) => new CompiledRule(policy, key, index));
  const compiled = { policy, key, rules };
  compiledPolicies.set(policy, compiled);
  return compiled;
}

/** The order in which rules are told of: by policy, then as written. Nobody's order of arrival. */
export function compareRules(a: CompiledRule, b: CompiledRule): number {
  return compareText(a.key, b.key) || a.rule - b.rule;
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
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
