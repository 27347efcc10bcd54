/**
 * How many certificates each caller may ask for: a token bucket per caller, a bounded number of
 * them.
 */
import {
  CERTIFICATE_BURST_PER_CALLER,
  CERTIFICATE_CALLERS,
  CERTIFICATE_RATE_PER_CALLER_S,
} from "../limits.ts";

interface Bucket {
  left: number;
  at: number;
}

export class CallerRate {
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Takes one; false if the caller has none left. */
  take(caller: string): boolean {
    const now = this.#now();
    const { left, at } = this.#buckets.get(caller) ?? {
      left: CERTIFICATE_BURST_PER_CALLER,
      at: now,
    };
    const refill = (Math.max(0, now - at) / 1000) * CERTIFICATE_RATE_PER_CALLER_S;
    const available = Math.min(CERTIFICATE_BURST_PER_CALLER, left + refill);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { left: Math.max(0, available - 1), at: now });
    this.#evict();
    return available >= 1;
  }

  #evict(): void {
    if (this.#buckets.size <= CERTIFICATE_CALLERS) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
