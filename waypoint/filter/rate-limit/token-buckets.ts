/** Token buckets by key, in a table of bounded size. Nothing runs while nobody asks. */
import { BUCKETS } from "./limits.ts";

/** `requests` tokens come every `perMs`, up to `burst`; each request takes one. */
export interface BucketRate {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class TokenBuckets {
  readonly #now: () => number;
  readonly #capacity: number;
  readonly #buckets = new Map<string, Bucket>();

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number, capacity = BUCKETS) {
    this.#now = now;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Tokens that there are, broken ones included. */
  available(key: string, rate: BucketRate): number {
    return this.#refilled(key, rate).tokens;
  }

  /** Takes one, whether or not there is one: ask `available` first. */
  take(key: string, rate: BucketRate): void {
    this.#refilled(key, rate).tokens -= 1;
  }

  /** The bucket as it is now, as the one used last. */
  #refilled(key: string, { requests, perMs, burst }: BucketRate): Bucket {
    const now = this.#now();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: burst, atMs: now };
      this.#makeRoom();
    } else {
      const gained = ((now - bucket.atMs) * requests) / perMs;
      bucket.tokens = Math.min(burst, bucket.tokens + gained);
      bucket.atMs = now;
      this.#buckets.delete(key);
    }
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #makeRoom(): void {
    if (this.#buckets.size < this.#capacity) return;
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
