/** What one request has left of its tries. */
import type { RetryPermit } from "../upstream/upstream.ts";
import { FREE_TRIES } from "./limits.ts";
import type { ResponseFlag } from "./request-record.ts";
import { isIdempotent, type RetryPolicy, retryDelayMs, type TryFailure } from "./retry-policy.ts";

export class RetryState {
  /** Why there was no further try. */
  flag: ResponseFlag | undefined;
  readonly #policy: RetryPolicy;
  readonly #permitRetry: () => RetryPermit | undefined;
  #retries = 0;
  #freeTries = 0;
  #permit: RetryPermit | undefined;

  constructor(policy: RetryPolicy, permitRetry: () => RetryPermit | undefined) {
    this.#policy = policy;
    this.#permitRetry = permitRetry;
  }

  /**
   * For a try that is not the route's: the upstream cannot have seen the request, or closed a
   * connection that it had kept for long just then (RFC 9112 9.3.1).
   */
  takeFree(failure: TryFailure, method: string, reused: boolean): boolean {
    const { retry, explicit } = this.#policy;
    if (this.#freeTries >= FREE_TRIES || (explicit && retry.attempts === 0)) return false;
    const stale = failure === "reset" && reused && isIdempotent(method);
    if (failure !== "not-sent" && !stale) return false;
    this.#freeTries++;
    return true;
  }

  /** Milliseconds to wait before the next try; undefined: there is none. */
  take(random: () => number): number | undefined {
    const { retry } = this.#policy;
    if (this.#retries >= retry.attempts) {
      if (retry.attempts > 0) this.flag = "URX";
      return undefined;
    }
    this.release();
    this.#permit = this.#permitRetry();
    if (this.#permit === undefined) {
      this.flag = "UO";
      return undefined;
    }
    this.#retries++;
    return retryDelayMs(retry, this.#retries, random);
  }

  /** The last try is no longer one that others have to make room for. */
  release(): void {
    this.#permit?.release();
    this.#permit = undefined;
  }
}
