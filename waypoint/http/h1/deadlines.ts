/**
 * Timeouts of many connections without a timer for each: setting one is writing a number, and all
 * are looked at in turn. A timeout strikes up to a sweep too late, never early.
 */
import { DEADLINE_SWEEP_MS } from "../limits.ts";

export interface Deadlined {
  /** The deadline that was set has passed; it is cleared. */
  onDeadline(): void;
}

const NEVER = Number.MAX_SAFE_INTEGER;

const all = new Set<Deadline>();
let round = 0;
let timer: NodeJS.Timeout | undefined;

/** One deadline at a time, of one connection. */
export class Deadline {
  readonly #owner: Deadlined;
  #round = NEVER;

  constructor(owner: Deadlined) {
    this.#owner = owner;
    all.add(this);
    timer ??= setInterval(sweep, DEADLINE_SWEEP_MS).unref();
  }

  /** Replaces the one that was set. */
  set(afterMs: number): void {
    this.#round = round + 1 + Math.ceil(afterMs / DEADLINE_SWEEP_MS);
  }

  clear(): void {
    this.#round = NEVER;
  }

  /** The connection is gone. */
  close(): void {
    all.delete(this);
    if (all.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  check(): void {
    if (this.#round > round) return;
    this.#round = NEVER;
    this.#owner.onDeadline();
  }
}

function sweep(): void {
  round++;
  for (const deadline of all) deadline.check();
}
