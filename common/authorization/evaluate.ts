/**
 * The L4 evaluator (ambient.md 2.4): DENY before ALLOW, no ALLOW policy at all means allowed.
 * `evaluate` is called for every connection; `explain` runs the same matching with a trace, for
 * people.
 */
import type { PolicyAction } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import type {
  CompiledClause,
  CompiledMatch,
  CompiledPolicies,
  CompiledPolicy,
  CompiledRule,
} from "./compile.ts";
import { ConnectionView } from "./connection-view.ts";
import type { FieldTest } from "./field-test.ts";
import { NEAREST_MISS_RULES } from "./limits.ts";
import type { Observation, PolicyHit, Verdict } from "./verdict.ts";

export { type CompiledPolicies, compilePolicies } from "./compile.ts";

export interface RuleTrace {
  /** Index in `Authorization.rules`. */
  readonly rule: number;
  readonly matched: boolean;
  /** As `PolicyHit.observed`. */
  readonly observed: readonly Observation[];
}

export interface PolicyTrace {
  /** `<namespace>/<name>`. */
  readonly policy: string;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  readonly matched: boolean;
  readonly rules: readonly RuleTrace[];
}

export interface Explanation {
  readonly verdict: Verdict;
  /** Every policy that applies, by key, also those that the verdict did not need. */
  readonly policies: readonly PolicyTrace[];
}

const NO_HITS: readonly PolicyHit[] = [];

/** Decides one connection. Microseconds; does no more than `explain`, and exactly what it tells. */
export function evaluate(connection: Connection, compiled: CompiledPolicies): Verdict {
  const view = new ConnectionView(connection);
  const matches = (rule: CompiledRule): boolean => failingClause(rule, view) === MATCHED;
  const dryRunHits = dryRun(compiled, view, matches);
  const denied = compiled.deny.first(view, matches);
  if (denied !== undefined) {
    return { allowed: false, reason: "explicit-deny", by: hitOf(denied, view), dryRunHits };
  }
  if (!compiled.hasAllow) return { allowed: true, dryRunHits };
  const allowed = compiled.allow.first(view, matches);
  if (allowed !== undefined) return { allowed: true, by: hitOf(allowed, view), dryRunHits };
  const by = nearestMiss(compiled, view);
  return { allowed: false, reason: "no-allow-matched", ...(by && { by }), dryRunHits };
}

/**
 * Decides the connection and tells, for every rule of every policy, what matched or what failed
 * first.
 */
export function explain(connection: Connection, compiled: CompiledPolicies): Explanation {
  const view = new ConnectionView(connection);
  return {
    verdict: evaluate(connection, compiled),
    policies: compiled.policies.map((policy) => tracePolicy(policy, view)),
  };
}

// --- matching: the one implementation ---

const MATCHED = -1;

/** Told of every match that was compared: `failed` is the field that did not hold, if any. */
type TraceSink = (clause: number, match: CompiledMatch, failed: FieldTest | undefined) => void;

/**
 * The position of the first clause that does not hold, or MATCHED. A rule without clauses matches.
 */
function failingClause(rule: CompiledRule, view: ConnectionView, trace?: TraceSink): number {
  const { clauses } = rule;
  for (let i = 0; i < clauses.length; i++) {
    const clause = clauses[i];
    if (clause !== undefined && !clauseHolds(clause, view, trace)) return i;
  }
  return MATCHED;
}

function clauseHolds(clause: CompiledClause, view: ConnectionView, trace?: TraceSink): boolean {
  for (const match of clause.matches) {
    const failed = firstFailure(match, view);
    trace?.(clause.clause, match, failed);
    if (failed === undefined) return true;
  }
  return false;
}

/** The first field of the match that the connection does not meet; undefined when all hold. */
function firstFailure(match: CompiledMatch, view: ConnectionView): FieldTest | undefined {
  for (const test of match.tests) if (test.hits(view) === test.negative) return test;
  return undefined;
}

// --- telling ---

function tracePolicy(policy: CompiledPolicy, view: ConnectionView): PolicyTrace {
  const rules = policy.rules.map((rule) => traceRule(rule, view));
  return {
    policy: policy.key,
    action: policy.policy.action,
    dryRun: policy.policy.dryRun,
    matched: rules.some((rule) => rule.matched),
    rules,
  };
}

function traceRule(rule: CompiledRule, view: ConnectionView): RuleTrace {
  const held: Observation[] = [];
  let failed: Observation[] = [];
  const position = failingClause(rule, view, (clause, match, failure) => {
    const observe = (test: FieldTest): Observation => ({
      clause,
      match: match.match,
      field: test.field,
      value: test.observed(view),
      wanted: test.wanted(),
    });
    if (failure === undefined) held.push(...match.tests.map(observe));
    else failed.push(observe(failure));
    // The misses of a clause that held after all, through another match, are not worth telling.
    if (failure === undefined) failed = [];
  });
  const matched = position === MATCHED;
  return { rule: rule.rule, matched, observed: matched ? held : failed };
}

function hitOf(rule: CompiledRule, view: ConnectionView): PolicyHit {
  const { action, dryRun } = rule.policy;
  const { observed } = traceRule(rule, view);
  return { policy: rule.key, action, dryRun, rule: rule.rule, observed };
}

/** The first matching rule of every dry-run policy. */
function dryRun(
  compiled: CompiledPolicies,
  view: ConnectionView,
  matches: (rule: CompiledRule) => boolean,
): readonly PolicyHit[] {
  if (compiled.dryRun.rules.length === 0) return NO_HITS;
  const seen = new Set<string>();
  const hits: PolicyHit[] = [];
  for (const rule of compiled.dryRun.all(view, matches)) {
    if (seen.has(rule.key)) continue;
    seen.add(rule.key);
    hits.push(hitOf(rule, view));
  }
  return hits;
}

/** The ALLOW rule of which most clauses held, the first among equals. */
function nearestMiss(compiled: CompiledPolicies, view: ConnectionView): PolicyHit | undefined {
  let best: { rule: CompiledRule; position: number } | undefined;
  for (const rule of compiled.allow.rules.slice(0, NEAREST_MISS_RULES)) {
    const position = failingClause(rule, view);
    if (best === undefined || position > best.position) best = { rule, position };
  }
  return best && hitOf(best.rule, view);
}
