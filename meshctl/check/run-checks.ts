/** Checks in order: each says what it found; only a fatal one keeps others from being run. */
import { KubeApiError } from "#common/kube-client/kube-client.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Finding, Outcome } from "./outcome.ts";

export interface Check {
  /** The heading in docs/troubleshooting.md. */
  readonly id: string;
  /** What is true when all is well. */
  readonly description: string;
  /** Where it fails, those after it would say nothing new. */
  readonly fatal?: boolean;
  readonly run: () => Promise<Outcome>;
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
