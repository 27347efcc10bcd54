/**
 * How many certificates each caller may ask for, or how often anything else may happen for the sake
 * of one: a token bucket per caller, a bounded number of them.
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

export interface RateLimits {
  /** At once. */
  readonly burst: number;
  readonly perSecond: number;
  /** Buckets; at the bound the one used longest ago is full again. */
  readonly callers: number;
}

const CERTIFICATES: RateLimits = {
  burst: CERTIFICATE_BURST_PER_CALLER,
  perSecond: CERTIFICATE_RATE_PER_CALLER_S,
  callers: CERTIFICATE_CALLERS,
};

export class CallerRate {
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  readonly #limits: RateLimits;

  constructor(now: () => number = Date.now, limits = CERTIFICATES) {
    this.#now = now;
    this.#limits = limits;
  }

  /** Takes one; false if the caller has none left. */
  take(caller: string): boolean {
    const now = this.#now();
    const { burst, perSecond } = this.#limits;
    const { left, at } = this.#buckets.get(caller) ?? { left: burst, at: now };
    const refill = (Math.max(0, now - at) / 1000) * perSecond;
    const available = Math.min(burst, left + refill);
    this.#buckets.delete(caller);
    this.#buckets.set(caller, { left: available >= 1 ? available - 1 : available, at: now });
    this.#evict();
    return available >= 1;
  }

  #evict(): void {
    if (this.#buckets.size <= this.#limits.callers) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
