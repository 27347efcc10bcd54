/**
 * The `ZtunnelAccepted` condition of an AuthorizationPolicy, with Istio's reasons (ambient.md 1.4
 * F83).
 */
import type { Condition } from "#common/kubernetes/objects.ts";
import { POLICY_ISSUES_TOLD } from "#istiod-lite/limits.ts";
import type { PolicyIssue } from "./types.ts";

export const ZTUNNEL_ACCEPTED = "ZtunnelAccepted";

type Reason = "Accepted" | "Invalid" | "PartiallyInvalid" | "UnsupportedValue" | "AncestorNotBound";

/** What ztunnel was given of the policy. */
export interface Outcome {
  /** `spec.rules` that were written, and those of them of which something is enforced. */
  readonly written: number;
  readonly enforced: number;
  /** How the policy as a whole now behaves, where its rules do not say. */
  readonly summary: string;
  readonly generation: number | undefined;
}

/**
 * True as long as something of what was written is enforced. UnsupportedValue, Istio's word for it:
 * nothing is wrong but that a part needs a waypoint. PartiallyInvalid: a part is invalid. Invalid:
 * nothing valid is left.
 */
export function ztunnelCondition(issues: readonly PolicyIssue[], outcome: Outcome): Condition {
  const serious = issues.filter((issue) => issue.effect !== "noted");
  const dead = serious.length > 0 && outcome.enforced === 0;
  const reason = reasonOf(issues, dead);
  const told = issues
    .slice(0, POLICY_ISSUES_TOLD)
    .map((issue) => `${issue.field}: ${issue.message}`);
  const untold = issues.length - told.length;
  const parts = [outcome.summary, ...told, ...(untold > 0 ? [`and ${untold} more`] : [])];
  const { generation } = outcome;
  const message = parts.join(". ");
  return condition({ type: ZTUNNEL_ACCEPTED, accepted: !dead, reason, message, generation });
}

/** An action that ztunnel does not know; Istio's message. */
export function unsupportedAction(action: string, generation: number | undefined): Condition {
  const message = `ztunnel does not support the ${action} action`;
  const reason = "UnsupportedValue";
  return condition({ type: ZTUNNEL_ACCEPTED, accepted: false, reason, message, generation });
}

function reasonOf(issues: readonly PolicyIssue[], dead: boolean): Reason {
  if (issues.length === 0) return "Accepted";
  if (issues.every((issue) => issue.cause === "unsupported")) return "UnsupportedValue";
  return dead ? "Invalid" : "PartiallyInvalid";
}

/** Whether what stands in the policy takes effect, for one of those who enforce policies. */
export function condition(told: {
  readonly type: string;
  readonly accepted: boolean;
  readonly reason: Reason;
  readonly message: string;
  readonly generation: number | undefined;
}): Condition {
  const { type, accepted, reason, message, generation } = told;
  return {
    type,
    status: accepted ? "True" : "False",
    reason,
    message,
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}
