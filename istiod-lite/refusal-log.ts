/**
 * Refusals in the log: some in full, the rest as a number. Whoever knocks all day fills no disk.
 */
import type { Logger } from "#common/telemetry/logger.ts";
import { REFUSALS_LOGGED_PER_MINUTE } from "./limits.ts";

const MINUTE_MS = 60_000;

export class RefusalLog {
  readonly #logger: Logger;
  readonly #message: string;
  readonly #now: () => number;
  #windowEndsAt = Number.NEGATIVE_INFINITY;
  #told = 0;
  #untold = 0;

  constructor(logger: Logger, message: string, now: () => number = () => performance.now()) {
    this.#logger = logger;
    this.#message = message;
    this.#now = now;
  }

  /**
   * At most REFUSALS_LOGGED_PER_MINUTE lines a minute; the next one says how many there were more.
   */
  warn(fields: Readonly<Record<string, string>>): void {
    const now = this.#now();
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + MINUTE_MS;
      this.#told = 0;
    }
    if (this.#told >= REFUSALS_LOGGED_PER_MINUTE) {
      this.#untold++;
      return;
    }
    this.#told++;
    const more = this.#untold === 0 ? {} : { notTold: this.#untold };
    this.#untold = 0;
    this.#logger.warn(this.#message, { ...fields, ...more });
  }
}
