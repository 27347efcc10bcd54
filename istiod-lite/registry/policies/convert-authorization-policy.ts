/**
 * AuthorizationPolicy to what ztunnel enforces (ambient.md 1.4 F68-F75). An invalid policy never
 * widens access: where the policy itself cannot be read (action, selector, a field of its spec), an
 * ALLOW keeps refusing but permits nothing, and a DENY denies everything it covers.
 */

import type { AuthorizationPolicy } from "#common/kubernetes/objects.ts";
import type {
  Authorization,
  PolicyAction,
  PolicyScope,
  Rule,
} from "#common/model/authorization.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { type ConvertedRule, convertDenyRule, convertWholeRule } from "./convert-rule.ts";
import { Issues } from "./issues.ts";
import { parseRule } from "./parse-rule.ts";
import { unknownFields } from "./rule-entry.ts";
import { type Labels, parseSelector, selectsAll } from "./selector.ts";
import { unsupportedAction, ztunnelCondition } from "./status.ts";
import type { ConvertedAuthorizationPolicy, PolicyOptions } from "./types.ts";
import { targetsWaypoint, waypointCondition } from "./waypoint-status.ts";

/** `api/annotation/annotations.yaml`: a policy that only reports what it would do. */
const DRY_RUN_ANNOTATION = "istio.io/dry-run";

const SPEC_FIELDS = ["selector", "targetRef", "targetRefs", "rules", "action", "provider"];

/**
 * A conversion, and the labels that a workload needs for the policy to apply (none: it is not by
 * selector).
 */
export interface SelectedAuthorizationPolicy extends ConvertedAuthorizationPolicy {
  readonly selector: Labels;
}

export function convertAuthorizationPolicy(
  policy: AuthorizationPolicy,
  options: PolicyOptions,
): SelectedAuthorizationPolicy {
  const spec: unknown = policy.spec ?? {};
  const { generation } = policy.metadata;
  const nothing = { ruleOrigins: [], issues: [], selector: {} };
  if (targetsWaypoint(spec))
    return { ...nothing, conditions: [waypointCondition(spec, generation)] };
  const action = isJsonObject(spec) ? (spec.action ?? "ALLOW") : undefined;
  if (action === "CUSTOM") {
    return { ...nothing, conditions: [unsupportedAction(action, generation)] };
  }
  const issues = new Issues();
  const selector = parseSelector(policy.spec?.selector, issues);
  const effective = action === "DENY" ? "deny" : action === "AUDIT" ? "audit" : "allow";
  // A DENY that covers too many workloads denies more; an ALLOW would permit more.
  const wide = selector.broken && effective !== "deny";
  const broken = [wide, !checkSpec(spec, issues), !checkAction(action, issues)];
  const rules = broken.includes(true)
    ? strictest(effective)
    : convertRules(policy, effective, { issues, options });
  const header = {
    ...identify(policy, selector.labels, options),
    action: effective,
    dryRun: isDryRun(policy, issues),
  } as const;
  const written = Array.isArray(policy.spec?.rules) ? policy.spec.rules.length : 0;
  const enforced = new Set(rules.map((rule) => rule.origin).filter((origin) => origin >= 0)).size;
  const outcome = { written, enforced, summary: summary(header, rules.length, enforced, written) };
  return {
    authorization: { ...header, rules: rules.map((rule) => rule.rule) },
    ruleOrigins: rules.map((rule) => rule.origin),
    conditions: [ztunnelCondition(issues.list, { ...outcome, generation })],
    issues: issues.list,
    selector: header.scope === "workload-selector" ? selector.labels : {},
  };
}

interface OriginatedRule {
  readonly rule: Rule;
  /** Index in `spec.rules`; -1 for one made up to deny. */
  readonly origin: number;
}

function convertRules(
  policy: AuthorizationPolicy,
  action: PolicyAction,
  { issues, options }: { readonly issues: Issues; readonly options: PolicyOptions },
): OriginatedRule[] {
  const policyNamespace = policy.metadata.namespace ?? "";
  const written: readonly unknown[] = policy.spec?.rules ?? [];
  const rules = written.flatMap((rule, origin) => {
    issues.inRule(origin);
    const source = { rule, path: `rules[${origin}]`, policyNamespace, trustDomains: options };
    const parsed = parseRule(source);
    const converted: ConvertedRule =
      action === "deny"
        ? convertDenyRule(parsed, issues)
        : convertWholeRule(parsed, action, issues);
    return converted.map((r) => ({ rule: r, origin }));
  });
  issues.inRule(undefined);
  return rules;
}

/**
 * What an unreadable policy comes down to: no rule permits nothing, a rule without clauses denies
 * all.
 */
function strictest(action: PolicyAction): OriginatedRule[] {
  return action === "deny" ? [{ rule: { clauses: [] }, origin: -1 }] : [];
}

function identify(
  policy: AuthorizationPolicy,
  selector: Labels,
  options: PolicyOptions,
): Pick<Authorization, "name" | "namespace" | "scope"> {
  const { name, namespace = "" } = policy.metadata;
  const wide: PolicyScope = namespace === options.rootNamespace ? "global" : "namespace";
  return { name, namespace, scope: selectsAll(selector) ? wide : "workload-selector" };
}

function checkSpec(spec: unknown, issues: Issues): boolean {
  const before = issues.list.length;
  const invalid = (field: string, value: unknown, problem: string): void => {
    const outcome = "the whole policy is enforced at its strictest";
    issues.add({ cause: "invalid", effect: "narrowed" }, field, value, `${problem}: ${outcome}`);
  };
  if (!isJsonObject(spec)) invalid("", spec, "spec must be an object");
  else {
    for (const [field, value] of unknownFields(spec, SPEC_FIELDS)) {
      invalid(field, value, "no such field");
    }
    const { rules } = spec;
    if (rules !== undefined && rules !== null && !Array.isArray(rules)) {
      invalid("rules", rules, "this is a list");
    }
  }
  return issues.list.length === before;
}

function checkAction(action: unknown, issues: Issues): boolean {
  if (action === "ALLOW" || action === "DENY" || action === "AUDIT") return true;
  const message =
    "write ALLOW, DENY or AUDIT: until then the policy permits nothing to whom it covers";
  issues.add({ cause: "invalid", effect: "narrowed" }, "action", action ?? null, message);
  return false;
}

/**
 * As Go's strconv.ParseBool; what is neither true nor false is enforced, as in Istio, and noted.
 */
function isDryRun(policy: AuthorizationPolicy, issues: Issues): boolean {
  const text: unknown = policy.metadata.annotations?.[DRY_RUN_ANNOTATION] ?? "";
  if (/^(1|t|T|true|TRUE|True)$/.test(String(text))) return true;
  if (text === "" || /^(0|f|F|false|FALSE|False)$/.test(String(text))) return false;
  const message = `${DRY_RUN_ANNOTATION} is neither true nor false: the policy is enforced`;
  issues.add({ cause: "invalid", effect: "noted" }, "metadata.annotations", text, message);
  return false;
}

const MODES: Readonly<Record<PolicyAction, string>> = {
  allow: "attached to ztunnel",
  deny: "attached to ztunnel",
  audit: "attached to ztunnel, which tells what it matches in access log and metrics",
};

function summary(
  header: Pick<Authorization, "action" | "dryRun">,
  rules: number,
  enforced: number,
  written: number,
): string {
  const mode = header.dryRun ? "attached to ztunnel as a dry run" : MODES[header.action];
  if (header.action === "allow" && rules === 0 && written > 0) {
    return `${mode}, but no rule is left: the policy allows nothing`;
  }
  if (header.action === "audit" && rules === 0 && written > 0) {
    return `${mode}, but no rule is left: the policy reports nothing`;
  }
  if (header.action === "deny" && rules === 0 && written > 0) {
    return `${mode}, but no rule is left: the policy denies nothing`;
  }
  if (header.action === "deny" && enforced === 0 && written > 0) {
    return `${mode}, but it cannot be read: it denies everything it covers`;
  }
  return enforced < written ? `${mode} with ${enforced} of ${written} rules` : mode;
}
