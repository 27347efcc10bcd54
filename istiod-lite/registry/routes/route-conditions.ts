/** What is said about a route at one of its parents. */
import type { Condition } from "#common/kubernetes/objects.ts";
import type { Attachment } from "./attachment.ts";
import type { ConvertedRoute } from "./convert-route.ts";
import { ROUTE_ISSUES_TOLD } from "./limits.ts";
import type { RouteIssue } from "./route-issue.ts";

/** In the order in which one of several reasons is chosen. */
const REFERENCE_REASONS = ["RefNotPermitted", "InvalidKind", "BackendNotFound"] as const;

/** `ignored`: what of the route as a whole has no effect. */
export function routeConditions(
  attachment: Attachment,
  converted: ConvertedRoute,
  ignored: readonly string[],
): readonly Condition[] {
  const resolved = resolvedRefs(converted.issues);
  if (attachment.ports === undefined) {
    const { reason, message } = attachment;
    return [{ type: "Accepted", status: "False", reason, message }, resolved];
  }
  const invalid = converted.issues.filter(({ cause }) => cause.kind === "unsupported");
  const invalidRules = new Set(invalid.map(({ rule }) => rule));
  const told = tell(invalid);
  if (invalidRules.size > 0 && invalidRules.size === converted.ruleCount) {
    const message = `no rule can be had; their requests are answered with 500. ${told}`;
    return [{ type: "Accepted", status: "False", reason: "UnsupportedValue", message }, resolved];
  }
  const accepted = acceptedCondition(attachment.ports, converted.issues, ignored);
  if (invalidRules.size === 0) return [accepted, resolved];
  const rules = [...invalidRules].sort((a, b) => a - b).join(", ");
  // The spec wants the message to begin like this.
  const message = `Dropped Rule(s) ${rules}: their requests are answered with 500. ${told}`;
  const reason = "UnsupportedValue";
  return [accepted, { type: "PartiallyInvalid", status: "True", reason, message }, resolved];
}

function acceptedCondition(
  ports: readonly { readonly port: number }[],
  issues: readonly RouteIssue[],
  ignored: readonly string[],
): Condition {
  const without = issues.filter(({ cause }) => cause.kind === "ignored");
  const numbers = ports.map(({ port }) => port).join(", ");
  const summary = `in force on port ${numbers}`;
  const parts = [summary, ...ignored, ...(without.length > 0 ? [tell(without)] : [])];
  return { type: "Accepted", status: "True", reason: "Accepted", message: parts.join(". ") };
}

function resolvedRefs(issues: readonly RouteIssue[]): Condition {
  const type = "ResolvedRefs";
  const lost = issues.filter(({ cause }) => cause.kind === "reference");
  const reason = REFERENCE_REASONS.find((candidate) =>
    lost.some(({ cause }) => cause.kind === "reference" && cause.reason === candidate),
  );
  if (reason === undefined) {
    return { type, status: "True", reason: type, message: "all references lead somewhere" };
  }
  return { type, status: "False", reason, message: tell(lost) };
}

function tell(issues: readonly RouteIssue[]): string {
  const told = issues
    .slice(0, ROUTE_ISSUES_TOLD)
    .map(({ field, message }) => `${field}: ${message}`);
  const untold = issues.length - told.length;
  return [...told, ...(untold > 0 ? [`and ${untold} more`] : [])].join(". ");
}
