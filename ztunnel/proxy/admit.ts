/**
 * Authorization at the destination. A `Permit` can only come from here, and only a permit is
 * delivered.
 */
import { evaluate } from "#common/authorization/evaluate.ts";
import { describeVerdict } from "#common/authorization/verdict.ts";
import type { Connection } from "#common/model/connection.ts";
import type { Workload } from "#common/model/workload.ts";
import type { WorkloadPolicies } from "#ztunnel/state/proxy-state.ts";
import { type ConnectionFailure, failure } from "./failure.ts";
import type { StateWaiter } from "./state-waiter.ts";

declare const admitted: unique symbol;

/** Proof that the policies of `workload` allow `connection`. */
export interface Permit {
  readonly connection: Connection;
  readonly workload: Workload;
  readonly [admitted]: true;
}

export async function admit(
  waiter: StateWaiter,
  workload: Workload,
  connection: Connection,
): Promise<Permit | ConnectionFailure> {
  const policies = await waiter.policiesOf(workload);
  if ("ok" in policies) return policies;
  const verdict = evaluate(connection, policies);
  if (verdict.allowed) return { connection, workload } as Permit;
  return failure(
    verdict.reason,
    `connection closed due to policy rejection: ${describeVerdict(verdict)}`,
    { policy: verdict.by?.policy },
  );
}

/**
 * Why an established connection may not go on under today's policies; undefined while it may.
 * Policies that the workload names and that are on their way are waited for: the connection was
 * allowed before.
 */
export function revoked(
  { connection }: Permit,
  { compiled, missing }: WorkloadPolicies,
): ConnectionFailure | undefined {
  if (missing.length > 0) return undefined;
  const verdict = evaluate(connection, compiled);
  if (verdict.allowed) return undefined;
  const message = `connection closed due to policy change: ${describeVerdict(verdict)}`;
  return failure("policy-changed", message, { policy: verdict.by?.policy });
}
