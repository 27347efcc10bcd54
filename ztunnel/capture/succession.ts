/**
 * Who looks after a pod while one ztunnel replaces another. Rules of two versions may differ, and
 * each would take the other's for damage: the older one leaves them to the later one.
 */
import { SUCCESSION_MS } from "./limits.ts";

export class Succession {
  readonly #now: () => number;
  #since: number | undefined;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Whether to leave the pod to a later ztunnel that listens there: not for ever, and not any more
   * when it has gone.
   */
  yields(hasSuccessor: boolean): boolean {
    if (!hasSuccessor) {
      this.#since = undefined;
      return false;
    }
    this.#since ??= this.#now();
    return this.#now() - this.#since < SUCCESSION_MS;
  }
}
