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

const CONDITIONS = ["connect-failure", "refused-stream", "unavailable", "cancelled"] as const;

/**
 * Without `retry` the waypoint's own default holds, which is careful with requests that must not be
 * sent twice. There the time of one try is that of the whole, as in Istio (ambient.md F123).
 */
export function timeoutsOf(rule: HttpRouteRule): Pick<HttpRule, "timeoutMs" | "retry"> {
  const request = durationMs(rule.timeouts?.request);
  const perTry = durationMs(rule.timeouts?.backendRequest);
  if (rule.retry === undefined) {
    const timeoutMs = perTry > 0 ? perTry : request;
    return timeoutMs > 0 ? { timeoutMs } : {};
  }
  const retry = retryOf(rule.retry);
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
    conditions: [...CONDITIONS, "reset", ...byCode],
    codes: [...new Set(codes)],
    backoffMs,
    backoffMaxMs: backoffMs * MAX_BACKOFF_FACTOR,
  };
}

function durationMs(text: string | undefined): number {
  return text === undefined ? 0 : (parseGatewayDurationMs(text) ?? 0);
}
