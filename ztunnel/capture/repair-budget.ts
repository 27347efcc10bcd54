/**
 * How often something is put back that somebody keeps taking away: a few times at once, then at a
 * steady pace. A token bucket.
 */
import { REPAIR_BURST, REPAIR_INTERVAL_MS } from "./limits.ts";

export class RepairBudget {
  readonly #now: () => number;
  /** When the bucket will be full again; the past if it is. */
  #fullAt = 0;
  #refused = false;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes one repair out; 0 if there was one, otherwise the milliseconds until there is. */
  take(): number {
    const now = this.#now();
    const fullAt = Math.max(now, this.#fullAt) + REPAIR_INTERVAL_MS;
    const waitMs = fullAt - now - REPAIR_BURST * REPAIR_INTERVAL_MS;
    if (waitMs > 0) {
      this.#refused = true;
      return waitMs;
    }
    this.#fullAt = fullAt;
    return 0;
  }

  /** True from the first refusal on, until nothing has been taken for long enough to be full. */
  get isStrained(): boolean {
    if (this.#now() >= this.#fullAt) this.#refused = false;
    return this.#refused;
  }
}
