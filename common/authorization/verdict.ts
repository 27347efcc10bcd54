/**
 * What authorization answers: a verdict with the policy, rule and values that decided it, in plain
 * objects (they cross worker threads and land in logs), and the sentences that are made from it.
 */
import type { Match, PolicyAction } from "#common/model/authorization.ts";
import type { Reason } from "#common/model/reason.ts";

export type MatchField = keyof Match;

/** One field of one match, held against the connection. */
export interface Observation {
  /** Index of the clause in its rule. */
  readonly clause: number;
  /** Index of the match in its clause. */
  readonly match: number;
  readonly field: MatchField;
  /** What the connection has; "" where it has none (a plaintext peer has no principal). */
  readonly value: string;
  /** What the policy lists, as it is written in YAML: `a, b*`. */
  readonly wanted: string;
}

/** A rule, and what was observed on it. */
export interface PolicyHit {
  /** `<namespace>/<name>`. */
  readonly policy: string;
  readonly action: PolicyAction;
  readonly dryRun: boolean;
  /** Index in `Authorization.rules`. */
  readonly rule: number;
  /**
   * Of a rule that matched: every field that had to hold, none if it matches everything. Of one
   * that did not: for each match of its first failing clause, the field that failed.
   */
  readonly observed: readonly Observation[];
}

export type DenyReason = Extract<Reason, "explicit-deny" | "no-allow-matched">;

/** What policies say that never decide. */
export interface Unenforced {
  /** The first matching rule of each dry-run policy, by key. */
  readonly dryRunHits: readonly PolicyHit[];
  /**
   * Whether the connection would be allowed if every dry-run policy that applies were enforced too;
   * absent where none applies.
   */
  readonly dryRunAllowed?: boolean;
  /** The first matching rule of each AUDIT policy, by key. */
  readonly auditHits: readonly PolicyHit[];
}

export type Verdict =
  | ({
      readonly allowed: true;
      /** The ALLOW rule that matched; absent when no ALLOW policy applies. */
      readonly by?: PolicyHit;
    } & Unenforced)
  | ({
      readonly allowed: false;
      readonly reason: DenyReason;
      /**
       * The DENY rule that matched, or the ALLOW rule that came nearest (absent if there is no
       * rule).
       */
      readonly by?: PolicyHit;
    } & Unenforced);

/**
 * Istio's words for a refusal (istio/ztunnel src/proxy.rs, AuthorizationRejectionError), and ours
 * for a permit.
 */
export function describeVerdict(verdict: Verdict): string {
  if (verdict.allowed) {
    return verdict.by === undefined
      ? "no allow policies apply"
      : `allowed by: ${verdict.by.policy}`;
  }
  if (verdict.reason === "explicit-deny") {
    return `explicitly denied by: ${verdict.by?.policy ?? "unknown"}`;
  }
  return "allow policies exist, but none allowed";
}
