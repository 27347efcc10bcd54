/** A leadership that a test gives and takes. */
import type { Leadership } from "#istiod-lite/config/leadership.ts";

export class TestLeadership implements Leadership {
  readonly #listeners: ((isLeader: boolean) => void)[] = [];
  #term = new AbortController();
  isLeader: boolean;

  constructor(isLeader = true) {
    this.isLeader = isLeader;
  }

  get signal(): AbortSignal {
    return this.#term.signal;
  }

  onChange(listener: (isLeader: boolean) => void): void {
    this.#listeners.push(listener);
  }

  set(isLeader: boolean): void {
    this.isLeader = isLeader;
    if (isLeader) this.#term = new AbortController();
    else this.#term.abort();
    for (const listener of this.#listeners) listener(isLeader);
  }
}
