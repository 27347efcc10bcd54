/** Exponential backoff with full jitter. Randomness comes in, so that tests can fix it. */

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor?: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #currentMs: number;

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
    this.#currentMs = options.initialMs;
  }

  /**
   * The next delay in milliseconds: between half of and the whole current step; the step then
   * grows.
   */
  next(): number {
    const step = this.#currentMs;
    this.#currentMs = Math.min(step * (this.#options.factor ?? 2), this.#options.maxMs);
    return step / 2 + (this.#random() * step) / 2;
  }

  reset(): void {
    this.#currentMs = this.#options.initialMs;
  }
}
