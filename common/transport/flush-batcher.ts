/**
 * Gathers writes over one round of the event loop: who has something to write is flushed in
 * `setImmediate`, after the poll phase, so that everything one round of epoll brought leaves in one
 * writev. (`nextTick` would run after every native callback and batch nothing: performance.md C.)
 */

export interface Flushable {
  /** Writes what has been gathered. */
  flush(): void;
}

export class FlushBatcher {
  #waiting: Flushable[] = [];
  readonly #flush = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) one.flush();
  };

  /** Flushes `one` when this round ends; to be called at its first write of a round. */
  add(one: Flushable): void {
    if (this.#waiting.push(one) === 1) setImmediate(this.#flush);
  }
}
