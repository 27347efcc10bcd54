/**
 * Whether another try may do better. Source of the conditions: Envoy's x-envoy-retry-on and
 * x-envoy-retry-grpc-on; stricter in one way: what may have reached an upstream is not sent twice
 * unless the method is idempotent, or the route itself says that this response is to be tried
 * again.
 */
import type { Retry } from "#common/model/waypoint/http-route.ts";
import type { ResponseHead } from "../http/message.ts";

/** `not-sent`: nothing of the request left. The others: some of it may have. */
export type TryFailure = "not-connected" | "not-sent" | "reset" | "per-try-timeout";

export interface RetryPolicy {
  readonly retry: Retry;
  /** Whether the route says so, rather than the default. */
  readonly explicit: boolean;
}

/** Where the route has none. Source: istio/istio networking/core/route/retry, DefaultPolicy. */
export const DEFAULT_RETRY: RetryPolicy = {
  retry: {
    attempts: 2,
    conditions: [
      ...(["connect-failure", "refused-stream", "unavailable", "cancelled"] as const),
      "retriable-status-codes",
    ],
    codes: [],
    backoffMs: 25,
    backoffMaxMs: 250,
  },
  explicit: false,
};

type Condition = Retry["conditions"][number];

/** Source: RFC 9110 9.2.2. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

const ON_FAILURE: Readonly<Record<TryFailure, readonly Condition[]>> = {
  "not-connected": ["connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"],
  "not-sent": [
    ...(["refused-stream", "connect-failure", "5xx", "gateway-error", "reset"] as const),
    "reset-before-request",
  ],
  reset: ["reset", "5xx", "gateway-error"],
  "per-try-timeout": ["reset", "5xx", "gateway-error"],
};

/** After a try that brought no response. */
export function retriesFailure(
  { retry }: RetryPolicy,
  method: string,
  failure: TryFailure,
): boolean {
  const unseen = failure === "not-connected" || failure === "not-sent";
  if (!unseen && !isIdempotent(method)) return false;
  return ON_FAILURE[failure].some((condition) => retry.conditions.includes(condition));
}

/** Source: google.rpc.Code. */
const GRPC_CONDITIONS: Readonly<Record<string, Condition>> = {
  1: "cancelled",
  4: "deadline-exceeded",
  8: "resource-exhausted",
  13: "internal",
  14: "unavailable",
};

/** After the head of a response, before any of it went to the client. */
export function retriesResponse(
  { retry, explicit }: RetryPolicy,
  method: string,
  head: ResponseHead,
): boolean {
  if (!explicit && !isIdempotent(method)) return false;
  const { conditions, codes } = retry;
  const { status } = head;
  if (status >= 500 && conditions.includes("5xx")) return true;
  if (status >= 502 && status <= 504 && conditions.includes("gateway-error")) return true;
  if (status === 409 && conditions.includes("retriable-4xx")) return true;
  if (codes.includes(status) && conditions.includes("retriable-status-codes")) return true;
  const grpc = GRPC_CONDITIONS[head.headers.get("grpc-status") ?? ""];
  return grpc !== undefined && conditions.includes(grpc);
}

/**
 * How long to wait before the try after the first (`retries` 1), the one after that, and so on: at
 * least the step, as Gateway API asks, and up to half as much again, so that many clients do not
 * come back at once.
 */
export function retryDelayMs(retry: Retry, retries: number, random: () => number): number {
  const step = Math.min(retry.backoffMs * 2 ** (retries - 1), retry.backoffMaxMs);
  return step + (random() * step) / 2;
}
