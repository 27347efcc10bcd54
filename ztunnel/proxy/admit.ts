/**
 * Authorization at the destination. A `Permit` can only come from here, and only a permit is
 * delivered.
 */
import { evaluate } from "#common/authorization/evaluate.ts";
import { describeVerdict, type Unenforced, type Verdict } from "#common/authorization/verdict.ts";
import type { WorkloadPolicies } from "#common/mesh-state/proxy-state.ts";
import type { Connection } from "#common/model/connection.ts";
import type { Workload } from "#common/model/workload.ts";
import type { PolicyReport } from "#common/telemetry/connection-record.ts";
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import type { StateWaiter } from "./state-waiter.ts";

declare const admitted: unique symbol;

/** Proof that the policies of `workload` allow `connection`. */
export interface Permit {
  readonly connection: Connection;
  readonly workload: Workload;
  /** By what it was judged: as long as the workload's are the same object, the permit stands. */
  readonly policies: WorkloadPolicies;
  /** What policies said that do not decide. */
  readonly report: PolicyReport | undefined;
  readonly [admitted]: true;
}

type Refused = Extract<Verdict, { readonly allowed: false }>;

export async function admit(
  waiter: StateWaiter,
  workload: Workload,
  connection: Connection,
): Promise<Permit | ConnectionFailure> {
  // What a known DENY refuses need not wait for policies that have not arrived.
  const early = waiter.policiesNow(workload);
  const known = early.missing.length > 0 ? evaluate(connection, early.compiled) : undefined;
  if (known?.allowed === false && known.reason === "explicit-deny") return refusal(known);
  const found = waiter.policiesOf(workload);
  const policies = found instanceof Promise ? await found : found;
  if ("ok" in policies) return policies;
  const verdict = evaluate(connection, policies.compiled);
  if (!verdict.allowed) return refusal(verdict);
  return { connection, workload, policies, report: reportOf(verdict) } as Permit;
}

/**
 * Why an established connection may not go on under its workload's policies of today; undefined
 * while it may. Policies that the workload names and that are on their way are waited for, unless
 * one that is there denies it: the connection was allowed before.
 */
export function revoked(
  { connection }: Permit,
  { compiled, missing }: WorkloadPolicies,
): ConnectionFailure | undefined {
  const verdict = evaluate(connection, compiled);
  if (verdict.allowed || (missing.length > 0 && verdict.reason !== "explicit-deny")) {
    return undefined;
  }
  const message = `connection closed due to policy change: ${describeVerdict(verdict)}`;
  return failure("policy-changed", message, { policy: verdict.by?.policy });
}

function refusal(verdict: Refused): ConnectionFailure {
  const message = `connection closed due to policy rejection: ${describeVerdict(verdict)}`;
  const refused = failure(verdict.reason, message, { policy: verdict.by?.policy });
  const report = reportOf(verdict);
  return report === undefined ? refused : { ...refused, report };
}

function reportOf({ dryRunHits, dryRunAllowed, auditHits }: Unenforced): PolicyReport | undefined {
  if (dryRunAllowed === undefined && auditHits.length === 0) return undefined;
  return {
    ...(dryRunAllowed !== undefined && {
      dryRun: {
        allowed: dryRunAllowed,
        matched: dryRunHits.map(({ policy, action }) => ({ policy, action })),
      },
    }),
    audited: auditHits.map(({ policy }) => policy),
  };
}
