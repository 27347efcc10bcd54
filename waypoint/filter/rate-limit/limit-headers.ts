/**
 * What clients are told of limits. Source: draft-polli-ratelimit-headers-03, under the names that
 * Envoy gives its fields.
 */
import type { HeaderList } from "../../http/header-list.ts";

export interface LimitStanding {
  readonly limit: number;
  /** Of the window that `limit` is about; 0: not known. */
  readonly windowSeconds: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

/** The nearest to its end of several. */
export function nearest(
  one: LimitStanding | undefined,
  other: LimitStanding | undefined,
): LimitStanding | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.remaining < one.remaining ? other : one;
}

export function writeLimitHeaders(headers: HeaderList, standing: LimitStanding): void {
  const { limit, windowSeconds, remaining, resetSeconds } = standing;
  const window = windowSeconds > 0 ? `, ${limit};w=${windowSeconds}` : "";
  headers.set("x-ratelimit-limit", `${limit}${window}`);
  headers.set("x-ratelimit-remaining", String(remaining));
  headers.set("x-ratelimit-reset", String(resetSeconds));
}
