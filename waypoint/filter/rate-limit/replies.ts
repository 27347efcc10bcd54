/** What a client gets that is over a limit, or about whom nobody can say. */
import type { LocalReply } from "../stage.ts";

/** gRPC's RESOURCE_EXHAUSTED: unlike UNAVAILABLE, clients do not try again at once. */
const RESOURCE_EXHAUSTED = 8;

/** `limit` is its key, for the log. */
export function rateLimited(limit: string, retryAfterSeconds: number, body?: string): LocalReply {
  return {
    status: 429,
    reason: "rate-limited",
    body: body ?? "rate limit exceeded",
    headers: [["retry-after", String(Math.max(1, retryAfterSeconds))]],
    detail: limit,
    grpcStatus: RESOURCE_EXHAUSTED,
  };
}

/** Source: Envoy's rate limit filter answers 500 where its service fails and it must not pass. */
export function serviceFailed(limit: string, why: string): LocalReply {
  return {
    status: 500,
    reason: "rate-limit-error",
    body: "the rate limit service cannot be asked",
    detail: `${limit}: ${why}`,
  };
}
