/**
 * The L7 evaluator. Any DENY refuses; then, where there is an ALLOW, one has to match; then CUSTOM
 * is asked, by whoever can wait for an answer (`customRules`). The policies of the gateway and
 * those of the service count together.
 */
import type { CompiledHttpRule } from "./compile.ts";
import { compareHttpRules } from "./compile.ts";
import type { HttpPolicySet } from "./policy-set.ts";
import type { RequestView } from "./request-view.ts";

export type HttpVerdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reason: "denied-by-policy"; readonly by: CompiledHttpRule }
  | { readonly allowed: false; readonly reason: "no-allow-matched" };

type Sets = readonly HttpPolicySet[];

const ALLOWED: HttpVerdict = { allowed: true };
const NONE_MATCHED: HttpVerdict = { allowed: false, reason: "no-allow-matched" };

/** DENY and ALLOW. */
export function authorize(view: RequestView, sets: Sets): HttpVerdict {
  const by = first(view, sets, "deny");
  if (by !== undefined) return { allowed: false, reason: "denied-by-policy", by };
  if (!sets.some((set) => set.hasAllow)) return ALLOWED;
  return first(view, sets, "allow") === undefined ? NONE_MATCHED : ALLOWED;
}

/** The first matching rule of each CUSTOM policy, by policy. */
export function customRules(view: RequestView, sets: Sets): readonly CompiledHttpRule[] {
  return firstOfEach(view, sets, "custom");
}

/** What AUDIT policies and dry runs have to say: a sentence each, at most `limit` of them. */
export function unenforcedNotes(view: RequestView, sets: Sets, limit: number): readonly string[] {
  if (sets.every((set) => set.telling.size === 0 && !set.hasDryRunAllow)) return NO_NOTES;
  const rules = firstOfEach(view, sets, "telling");
  const notes = rules.slice(0, limit).map(noteOf);
  const allows = rules.some(({ policy }) => policy.action === "allow" && policy.dryRun);
  if (!allows && sets.some((set) => set.hasDryRunAllow)) {
    notes.unshift("dry run: no ALLOW policy in dry run matches");
  }
  return notes.slice(0, limit);
}

const NO_NOTES: readonly string[] = [];

/** `shop/deny-debug rule 0`. */
export function describeRule({ policy, rule }: CompiledHttpRule): string {
  return `${policy.key} rule ${rule}`;
}

function noteOf(rule: CompiledHttpRule): string {
  const { action, dryRun } = rule.policy;
  const verb = { allow: "allows", deny: "denies", custom: "asks about", audit: "audits" }[action];
  return `${dryRun ? "dry run: " : ""}${describeRule(rule)} ${verb} this`;
}

type Kind = "deny" | "allow" | "custom" | "telling";

function first(view: RequestView, sets: Sets, kind: Kind): CompiledHttpRule | undefined {
  let found: CompiledHttpRule | undefined;
  for (const set of sets) found = set[kind].first(view, (rule) => rule.matches(view), found);
  return found;
}

function firstOfEach(view: RequestView, sets: Sets, kind: Kind): readonly CompiledHttpRule[] {
  const byPolicy = new Map<string, CompiledHttpRule>();
  for (const set of sets) {
    if (set[kind].size === 0) continue;
    set[kind].all(
      view,
      (rule) => rule.matches(view),
      (rule) => {
        const known = byPolicy.get(rule.policy.key);
        if (known === undefined || rule.rule < known.rule) byPolicy.set(rule.policy.key, rule);
      },
    );
  }
  return [...byPolicy.values()].sort(compareHttpRules);
}
