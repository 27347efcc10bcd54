/**
 * The L4 evaluator (ambient.md 2.4): DENY before ALLOW, no ALLOW policy at all means allowed.
 * `evaluate` is called for every connection; `explain` runs the same matching with a trace, for
 * people.
 */
import type { PolicyAction } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import {
  type CompiledClause,
  type CompiledMatch,
  type CompiledPolicy,
  type CompiledRule,
  compareRules,
} from "./compile.ts";
import { ConnectionView } from "./connection-view.ts";
import type { FieldTest } from "./field-test.ts";
import { NEAREST_MISS_RULES } from "./limits.ts";
import type { CompiledPolicies, ConnectionRuleIndex, PolicySet } from "./policy-set.ts";
import type { Observation, PolicyHit, Unenforced, Verdict } from "./verdict.ts";

export { CompiledPolicies, compilePolicies, PolicySet } from "./policy-set.ts";

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
const NOTHING_UNENFORCED: Unenforced = { dryRunHits: NO_HITS, auditHits: NO_HITS };

type Matches = (rule: CompiledRule) => boolean;

/** Decides one connection. Microseconds; does no more than `explain`, and exactly what it tells. */
export function evaluate(connection: Connection, compiled: CompiledPolicies): Verdict {
  const view = new ConnectionView(connection);
  const matches: Matches = (rule) => failingClause(rule, view) === MATCHED;
  const first = (index: (set: PolicySet) => ConnectionRuleIndex): CompiledRule | undefined => {
    let found: CompiledRule | undefined;
    for (const set of compiled.sets) found = index(set).first(view, matches, found);
    return found;
  };
  const { hasAllow } = compiled;
  const denied = first((set) => set.deny);
  const allowed = hasAllow ? first((set) => set.allow) : undefined;
  const unenforced = neverDeciding(compiled, view, matches, { denied, allowed });
  if (denied !== undefined) {
    return { allowed: false, reason: "explicit-deny", by: hitOf(denied, view), ...unenforced };
  }
  if (!hasAllow) return { allowed: true, ...unenforced };
  if (allowed !== undefined) return { allowed: true, by: hitOf(allowed, view), ...unenforced };
  const by = nearestMiss(compiled, view);
  return { allowed: false, reason: "no-allow-matched", ...(by && { by }), ...unenforced };
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

/** The rules that decided, if any. */
interface Deciding {
  readonly denied: CompiledRule | undefined;
  readonly allowed: CompiledRule | undefined;
}

function neverDeciding(
  compiled: CompiledPolicies,
  view: ConnectionView,
  matches: Matches,
  { denied, allowed }: Deciding,
): Unenforced {
  if (compiled.sets.every((set) => set.decidesAll)) return NOTHING_UNENFORCED;
  const hits = (index: (set: PolicySet) => ConnectionRuleIndex): readonly CompiledRule[] =>
    firstOfEach(compiled.sets.map(index), view, matches);
  const audited = hits((set) => set.audit);
  const auditHits = audited.length === 0 ? NO_HITS : audited.map((rule) => hitOf(rule, view));
  if (!compiled.sets.some((set) => set.hasDryRun)) return { dryRunHits: NO_HITS, auditHits };
  const dry = hits((set) => set.dryRun);
  const hit = (action: PolicyAction): boolean => dry.some((rule) => rule.policy.action === action);
  const noAllow = !compiled.hasAllow && !compiled.hasDryRunAllow;
  const wouldAllow = noAllow || allowed !== undefined || hit("allow");
  return {
    dryRunHits: dry.map((rule) => hitOf(rule, view)),
    dryRunAllowed: denied === undefined && !hit("deny") && wouldAllow,
    auditHits,
  };
}

/** Of each policy that matches its first rule that does, by key. */
function firstOfEach(
  indexes: readonly ConnectionRuleIndex[],
  view: ConnectionView,
  matches: Matches,
): readonly CompiledRule[] {
  const found = new Map<string, CompiledRule>();
  for (const index of indexes) {
    if (index.size === 0) continue;
    index.all(view, matches, (rule) => {
      const known = found.get(rule.key);
      if (known === undefined || rule.rule < known.rule) found.set(rule.key, rule);
    });
  }
  return found.size === 0 ? NO_RULES : [...found.values()].sort(compareRules);
}

const NO_RULES: readonly CompiledRule[] = [];

/** The ALLOW rule of which most clauses held, the first among equals. */
function nearestMiss(compiled: CompiledPolicies, view: ConnectionView): PolicyHit | undefined {
  let best: { rule: CompiledRule; position: number } | undefined;
  let left = NEAREST_MISS_RULES;
  for (const set of compiled.sets) {
    for (const rule of set.allow.rules()) {
      if (left-- === 0) return best && hitOf(best.rule, view);
      const position = failingClause(rule, view);
      const order = best === undefined ? 1 : position - best.position;
      if (best === undefined || order > 0 || (order === 0 && compareRules(rule, best.rule) < 0)) {
        best = { rule, position };
      }
    }
  }
  return best && hitOf(best.rule, view);
}
