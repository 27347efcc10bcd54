/**
 * An expected failure of one connection, as a value: it becomes the access log's reason and
 * message.
 */
import type { Reason } from "#common/model/reason.ts";
import type { LimitName, PolicyReport } from "#common/telemetry/connection-record.ts";

export interface ConnectionFailure {
  readonly ok: false;
  readonly reason: Reason;
  /** For people; Istio's wording where Istio has one. */
  readonly message: string;
  /** The policy that decided, `<namespace>/<name>`. */
  readonly policy?: string;
  /** Whether another attempt could do better: nothing of the application's has been sent. */
  readonly retriable: boolean;
  /** The bound that was reached, where that is why. */
  readonly limit?: LimitName;
  /** What policies said that do not decide. */
  readonly report?: PolicyReport;
}

export function failure(
  reason: Reason,
  message: string,
  options: { policy?: string | undefined; retriable?: boolean } = {},
): ConnectionFailure {
  return {
    ok: false,
    reason,
    message,
    retriable: options.retriable ?? false,
    ...(options.policy !== undefined && { policy: options.policy }),
  };
}

/** Whoever asked for the connection is gone before there was one. */
export const CLIENT_LEFT = failure("peer-reset", "the client left before the answer");

/** Refused at a bound, which is counted with the connection's record. */
export function limitReached(limit: LimitName, message: string): ConnectionFailure {
  return { ...failure("limit-reached", message), limit };
}
