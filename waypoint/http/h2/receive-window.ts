/** What a peer may still send on a whole connection (RFC 9113 6.9). */
import { CONNECTION_WINDOW_BYTES, HELD_BYTES } from "./limits.ts";

export class ReceiveWindow {
  #left = CONNECTION_WINDOW_BYTES;
  /** Has come and not been given back. */
  #due = 0;
  /** Waits in streams for who reads it. */
  #held = 0;

  /** Of a DATA frame, with its padding. False: it is more than was allowed. */
  take(bytes: number): boolean {
    this.#left -= bytes;
    this.#due += bytes;
    return this.#left >= 0;
  }

  hold(bytes: number): void {
    this.#held += bytes;
  }

  /** What to give back now; 0 for nothing. */
  giveBack(): number {
    const due = this.#due;
    if (due * 2 < CONNECTION_WINDOW_BYTES || this.#held > HELD_BYTES) return 0;
    this.#due = 0;
    this.#left += due;
    return due;
  }
}
