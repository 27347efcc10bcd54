/**
 * State updates on their way into a data worker. The control thread cuts a large one into pieces,
 * but a message port hands over all that it holds in one turn of the event loop: here they take
 * turns with traffic again.
 */
import type { StateUpdate } from "#common/mesh-state/proxy-state.ts";
import { STATE_SLICE_MS } from "../limits.ts";

export interface StateQueueDeps {
  /** Takes one piece in. */
  readonly apply: (update: StateUpdate) => void;
  /** Runs a slice in a later turn of the event loop. @default setImmediate */
  readonly schedule?: (slice: () => void) => void;
  /** Milliseconds. @default performance.now */
  readonly now?: () => number;
}

export class StateQueue {
  readonly #apply: StateQueueDeps["apply"];
  readonly #schedule: (slice: () => void) => void;
  readonly #now: () => number;
  /** Bounded by what the control plane sends: each piece is applied once, in order. */
  #waiting: StateUpdate[] = [];
  #next = 0;
  readonly #idleWaiters: (() => void)[] = [];

  constructor({ apply, schedule, now }: StateQueueDeps) {
    this.#apply = apply;
    this.#schedule = schedule ?? ((slice) => void setImmediate(slice));
    this.#now = now ?? (() => performance.now());
  }

  push(update: StateUpdate): void {
    this.#waiting.push(update);
    if (this.#waiting.length === 1) this.#schedule(() => this.#slice());
  }

  /** Resolves when everything that was pushed before has been applied. */
  whenIdle(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #slice(): void {
    const end = this.#now() + STATE_SLICE_MS;
    do {
      const update = this.#waiting[this.#next++];
      if (update !== undefined) this.#apply(update);
    } while (this.#next < this.#waiting.length && this.#now() < end);
    if (this.#next < this.#waiting.length) {
      this.#schedule(() => this.#slice());
      return;
    }
    this.#waiting = [];
    this.#next = 0;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
