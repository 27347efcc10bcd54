/**
 * Decides what ztunnel enforces of a rule that it cannot enforce whole. Access never widens by it:
 *
 * - ALLOW: a rule with an invalid or an HTTP part is left out, so that less is allowed. So for
 *   AUDIT, which decides nothing.
 * - DENY: the part is dropped and the rest is enforced, so that more is denied; with nothing left,
 *   an invalid rule denies everything that its policy covers.
 * - The one exception is Istio's: a DENY, or an alternative of one, that asks only for HTTP
 *   attributes is left out (ambient.md 1.4 F73). Its issue says `no-effect`, and the policy's
 *   status says so too.
 */
import type { Clause, Rule } from "#common/model/authorization.ts";
import type { Issues } from "./issues.ts";
import type { ParsedRule } from "./parse-rule.ts";
import type { Entry, Finding } from "./rule-entry.ts";
import type { PolicyEffect } from "./types.ts";

/** What becomes of a rule of an ALLOW, or of an AUDIT, that is not enforced as it is written. */
const LEFT_OUT = {
  allow: "the rule is left out, so less is allowed",
  audit: "the rule is left out, so less is reported",
} as const;

/**
 * None when the rule is left out; two when the alternatives of a DENY cannot be written as one
 * rule.
 */
export type ConvertedRule = readonly Rule[];

export function convertWholeRule(
  rule: ParsedRule,
  action: "allow" | "audit",
  issues: Issues,
): ConvertedRule {
  for (const finding of rule.findings) report(issues, finding, "narrowed", LEFT_OUT[action]);
  if (rule.findings.some((finding) => finding.kind !== "inert")) return [];
  return [{ clauses: [...clauseOf(rule.from), ...clauseOf(rule.to), ...eachOf(rule.when)] }];
}

export function convertDenyRule(rule: ParsedRule, issues: Issues): ConvertedRule {
  const whole = isAnchored(rule);
  const rules = whole
    ? [{ clauses: [...clauseOf(rule.from), ...clauseOf(rule.to), ...eachOf(rule.when)] }]
    : [...alternatives(rule.from), ...alternatives(rule.to)];
  for (const finding of rule.findings) {
    const lost = finding.kind === "http" && !whole && hasNoEffect(finding, rule, rules);
    if (lost) report(issues, finding, "no-effect", "so this denies nothing: use a waypoint");
    else report(issues, finding, "narrowed", "this part is dropped, so more is denied");
  }
  return rules;
}

/**
 * Whether every combination of alternatives (a source, an operation, all conditions) asks for
 * something that is not HTTP. Where it does not, the combinations that ask only for HTTP have to be
 * left out.
 */
function isAnchored(rule: ParsedRule): boolean {
  if (rule.broken || rule.when.some(asksL4)) return true;
  if (!rule.findings.some((finding) => finding.kind === "http")) return true;
  return [rule.from, rule.to].some((entries) => entries?.every(asksL4) ?? false);
}

/** Something other than HTTP was asked for, even if it could not be read. */
function asksL4(entry: Entry): boolean {
  return entry.constrained || entry.broken;
}

/**
 * A clause for OR'd entries; none if one of them is left without any field, and so lets everything
 * through.
 */
function clauseOf(entries: readonly Entry[] | undefined): Clause[] {
  if (entries === undefined || entries.some((entry) => !entry.constrained)) return [];
  return [{ matches: entries.map((entry) => entry.match) }];
}

function eachOf(conditions: readonly Entry[]): Clause[] {
  return conditions.flatMap((condition) => clauseOf([condition]));
}

/** The rule of those entries alone that ask for something other than HTTP. */
function alternatives(entries: readonly Entry[] | undefined): Rule[] {
  const asking = entries?.filter(asksL4) ?? [];
  return asking.length === 0 ? [] : [{ clauses: clauseOf(asking) }];
}

function hasNoEffect(finding: Finding, rule: ParsedRule, rules: ConvertedRule): boolean {
  const { entry } = finding;
  if (entry === undefined || rule.when.includes(entry)) return rules.length === 0;
  return !asksL4(entry);
}

function report(issues: Issues, finding: Finding, effect: PolicyEffect, outcome: string): void {
  const { field, value, problem } = finding;
  if (finding.kind === "inert") {
    const kind = { cause: "invalid", effect: "noted" } as const;
    issues.add(kind, field, value, `${problem}; as it stands no peer can ever have this value`);
    return;
  }
  const cause = finding.kind === "http" ? "unsupported" : "invalid";
  issues.add({ cause, effect }, field, value, `${problem}: ${outcome}`);
}
