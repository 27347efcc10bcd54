/** Checks in order: each says what it found; only a fatal one keeps others from being run. */
import { KubeApiError } from "#common/kube-client/kube-client.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Finding, Outcome } from "./outcome.ts";

/** A check, and what it is run with. */
export interface CheckOf<Deps> {
  /** The heading in docs/troubleshooting.md. */
  readonly id: string;
  /** What is true when all is well. */
  readonly description: string;
  /** Where it fails, those after it would say nothing new. */
  readonly fatal?: boolean;
  readonly run: (deps: Deps) => Promise<Outcome>;
}

export type Check = CheckOf<void>;

export function bindChecks<Deps>(checks: readonly CheckOf<Deps>[], deps: Deps): readonly Check[] {
  return checks.map((check) => ({ ...check, run: () => check.run(deps) }));
}

/** Yields each finding when it is known. */
export async function* runChecks(checks: readonly Check[]): AsyncGenerator<Finding> {
  for (const { id, description, fatal = false, run } of checks) {
    const outcome = await run().catch(unknownOutcome);
    yield { id, description, ...outcome };
    if (fatal && outcome.status === "failed") return;
  }
}

/** What may not be seen is not known to be wrong. */
function unknownOutcome(error: unknown): Outcome {
  const isHidden = error instanceof KubeApiError && error.status === 403;
  return { status: isHidden ? "unknown" : "failed", details: [describeError(error)] };
}
