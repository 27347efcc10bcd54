/** Timeouts and retries of HTTPRoutes. */
import { parseGatewayDurationMs } from "#common/kubernetes/gateway-duration.ts";
import type { HttpRouteRule } from "#common/kubernetes/route-objects.ts";
import type { HttpRule, Retry } from "#common/model/waypoint/http-route.ts";
import { MAX_RETRY_ATTEMPTS } from "./limits.ts";

/** Source: Istio's default retry policy (ambient.md F124) and Envoy's back-off. */
const DEFAULT_ATTEMPTS = 2;
const DEFAULT_BACKOFF_MS = 25;
/** The longest back-off, in shortest ones. Source: Envoy, RetryBackOff.max_interval. */
const MAX_BACKOFF_FACTOR = 10;

const DEFAULT_CONDITIONS = [
  ...(["connect-failure", "refused-stream", "unavailable", "cancelled"] as const),
] as const;

/** What holds where a route says nothing of retries. */
export const DEFAULT_RETRY: Retry = {
  attempts: DEFAULT_ATTEMPTS,
  conditions: DEFAULT_CONDITIONS,
  codes: [],
  backoffMs: DEFAULT_BACKOFF_MS,
  backoffMaxMs: DEFAULT_BACKOFF_MS * MAX_BACKOFF_FACTOR,
};

export function timeoutsOf(rule: HttpRouteRule): Pick<HttpRule, "timeoutMs" | "retry"> {
  const request = durationMs(rule.timeouts?.request);
  const perTry = durationMs(rule.timeouts?.backendRequest);
  const retry = rule.retry === undefined ? DEFAULT_RETRY : retryOf(rule.retry);
  return {
    ...(request > 0 && { timeoutMs: request }),
    retry: perTry > 0 ? { ...retry, perTryTimeoutMs: perTry } : retry,
  };
}

/** Whoever asks for retries wants them on broken connections as well (HTTPRouteRetry). */
function retryOf(retry: NonNullable<HttpRouteRule["retry"]>): Retry {
  const { codes = [], attempts = DEFAULT_ATTEMPTS } = retry;
  const backoffMs = retry.backoff === undefined ? DEFAULT_BACKOFF_MS : durationMs(retry.backoff);
  const byCode = codes.length > 0 ? (["retriable-status-codes"] as const) : [];
  return {
    attempts: Math.min(attempts, MAX_RETRY_ATTEMPTS),
    conditions: [...DEFAULT_CONDITIONS, "reset", ...byCode],
    codes: [...new Set(codes)],
    backoffMs,
    backoffMaxMs: backoffMs * MAX_BACKOFF_FACTOR,
  };
}

function durationMs(text: string | undefined): number {
  return text === undefined ? 0 : (parseGatewayDurationMs(text) ?? 0);
}
