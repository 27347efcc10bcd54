/**
 * What is said about a ServiceEntry or WorkloadEntry: the condition `ZtunnelAccepted`, with the
 * reasons that Istio has for policies (ambient.md F83).
 */
import type { Condition } from "#common/kubernetes/objects.ts";
import { ENTRY_ISSUES_TOLD } from "#istiod-lite/limits.ts";

/** Something that was written and is not in force. */
export interface EntryIssue {
  /** E.g. `spec.addresses[0]`. */
  readonly field: string;
  readonly message: string;
  /** "unsupported": nothing is wrong with it, but nobody here can do it. */
  readonly cause: "invalid" | "unsupported";
}

/**
 * `served`: whether anything of the object reaches the proxies. Nothing does of one without issues
 * only if it is exported to nobody.
 */
export function entryCondition(
  issues: readonly EntryIssue[],
  served: boolean,
  generation: number | undefined,
): Condition {
  const told = issues
    .slice(0, ENTRY_ISSUES_TOLD)
    .map(({ field, message }) => `${field}: ${message}`);
  const untold = issues.length - told.length;
  const accepted = served || issues.length === 0;
  const summary = served ? "in force" : accepted ? "exported to nobody" : "not in force";
  const parts = [summary, ...told, ...(untold > 0 ? [`and ${untold} more`] : [])];
  return {
    type: "ZtunnelAccepted",
    status: accepted ? "True" : "False",
    reason: reasonOf(issues, served),
    message: parts.join(". "),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}

function reasonOf(issues: readonly EntryIssue[], served: boolean): string {
  if (issues.length === 0) return "Accepted";
  if (issues.every(({ cause }) => cause === "unsupported")) {
    return "UnsupportedValue";
  }
  return served ? "PartiallyInvalid" : "Invalid";
}
