/** What a peer may do that costs us more than it: counted, and bounded. */
import { ConnectionFault, ENHANCE_YOUR_CALM } from "./frames.ts";
import {
  IDLE_FRAME_BURST,
  IDLE_FRAME_RATE_PER_S,
  INVALID_FRAME_RATE_PER_S,
  INVALID_FRAMES,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE_PER_S,
  WINDOW_UPDATES_AT_FIRST,
  WINDOW_UPDATES_PER_FRAME,
} from "./limits.ts";

/** Each method throws ConnectionFault ENHANCE_YOUR_CALM when it is too much. */
export class FloodGuard {
  readonly #resets = new Bucket(STREAM_RESET_BURST, STREAM_RESET_RATE_PER_S);
  readonly #idle = new Bucket(IDLE_FRAME_BURST, IDLE_FRAME_RATE_PER_S);
  readonly #faults = new Bucket(INVALID_FRAMES, INVALID_FRAME_RATE_PER_S);
  #windowUpdates = WINDOW_UPDATES_AT_FIRST;

  /** The peer undid what it had asked for, or asked for too much. */
  onReset(): void {
    if (!this.#resets.take()) throw calm("streams reset or refused");
  }

  /** A frame that brings nothing. */
  onIdleFrame(): void {
    if (!this.#idle.take()) throw calm("frames that bring nothing");
  }

  /** What the peer did made us reset its stream (CVE-2025-8671), or refuse its request. */
  onFault(): void {
    if (!this.#faults.take()) throw calm("invalid frames");
  }

  onWindowUpdate(): void {
    if (--this.#windowUpdates < 0) throw calm("window updates");
  }

  /** HEADERS or DATA: each may be answered by window updates, or follow on one. */
  onSent(): void {
    if (this.#windowUpdates < WINDOW_UPDATES_AT_FIRST) {
      this.#windowUpdates += WINDOW_UPDATES_PER_FRAME;
    }
  }
}

/** So many at once, and so many per second. */
class Bucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #filledAt = performance.now();

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
  }

  take(): boolean {
    if (this.#left < 1) this.#fill();
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  #fill(): void {
    const now = performance.now();
    const earned = ((now - this.#filledAt) / 1_000) * this.#perSecond;
    this.#filledAt = now;
    this.#left = Math.min(this.#burst, this.#left + earned);
  }
}

function calm(what: string): ConnectionFault {
  return new ConnectionFault(ENHANCE_YOUR_CALM, `too many ${what}`);
}
