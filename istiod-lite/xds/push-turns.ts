/**
 * Who may send a large response now. When all proxies of a mesh come back at once, each wants
 * everything: that much memory at a time is bounded, and the rest of them wait in line.
 */
import { RESOURCES_IN_FLIGHT, SMALL_RESPONSE_RESOURCES } from "../limits.ts";

interface Waiting {
  readonly size: number;
  readonly send: () => void;
}

/** Gives a place back; further calls do nothing. */
export type Release = () => void;

const NOTHING_HELD: Release = () => undefined;

export class PushTurns {
  readonly #capacity: number;
  readonly #waiting = new Map<object, Waiting>();
  #inFlight = 0;

  constructor(capacity: number = RESOURCES_IN_FLIGHT) {
    this.#capacity = capacity;
  }

  /** Resources in large responses that are under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Those who wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * A place for a response of `size` resources: small ones always have one. Undefined when there is
   * none: then `send` is called when it is `who`'s turn, and asks again. One that is larger than
   * the whole capacity has its turn when nothing else is under way.
   */
  take(who: object, size: number, send: () => void): Release | undefined {
    if (size <= SMALL_RESPONSE_RESOURCES) {
      this.leave(who);
      return NOTHING_HELD;
    }
    if (!this.#isTurnOf(who, size)) {
      if (!this.#waiting.has(who)) this.#waiting.set(who, { size, send });
      return undefined;
    }
    this.#waiting.delete(who);
    this.#inFlight += size;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#inFlight -= size;
      this.#next();
    };
  }

  /** `who` wants nothing any more. */
  leave(who: object): void {
    if (this.#waiting.delete(who)) this.#next();
  }

  #isTurnOf(who: object, size: number): boolean {
    if (!this.#fits(size)) return false;
    const [first] = this.#waiting.keys();
    return first === undefined || first === who;
  }

  #fits(size: number): boolean {
    return this.#inFlight === 0 || this.#inFlight + size <= this.#capacity;
  }

  /** One at a time: its response takes milliseconds to make, and others have business too. */
  #next(): void {
    const [first] = this.#waiting.values();
    if (first === undefined || !this.#fits(first.size)) return;
    setImmediate(() => {
      const [now] = this.#waiting.values();
      if (now === undefined || !this.#fits(now.size)) return;
      const before = this.#inFlight;
      now.send();
      // It took its place, left, or wanted less than before: the one behind may fit, too.
      if (this.#inFlight !== before || now !== this.#waiting.values().next().value) this.#next();
    });
  }
}
