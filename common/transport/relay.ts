/**
 * Carries bytes both ways between two ends until both directions are over: half-closes stay
 * half-closes, resets stay resets, and neither side is read faster than the other takes it.
 */
import type { End } from "./end.ts";

export interface RelayOutcome {
  /** Set when the connection did not end properly, with the side on which it broke. */
  readonly error: Error | undefined;
  readonly brokenBy: "downstream" | "upstream" | undefined;
}

/** A running relay. Byte counts are read from the ends. */
export interface Relay {
  /** Cuts both sides with a reset. */
  abort(error: Error): void;
}

/** Starts relaying; `onDone` is called once, when both ends are closed. */
export function relay(
  downstream: End,
  upstream: End,
  onDone: (outcome: RelayOutcome) => void,
): Relay {
  return new RunningRelay(downstream, upstream, onDone);
}

type Side = NonNullable<RelayOutcome["brokenBy"]>;

class RunningRelay implements Relay {
  readonly #ends: readonly [End, End];
  readonly #closed = new Set<End>();
  readonly #onDone: (outcome: RelayOutcome) => void;
  #error: Error | undefined;
  #brokenBy: Side | undefined;

  constructor(downstream: End, upstream: End, onDone: (outcome: RelayOutcome) => void) {
    this.#ends = [downstream, upstream];
    this.#onDone = onDone;
    this.#connect(downstream, upstream, "downstream");
    this.#connect(upstream, downstream, "upstream");
  }

  abort(reason: Error): void {
    this.#error ??= reason;
    for (const end of this.#ends) end.reset();
  }

  #connect(from: End, to: End, side: Side): void {
    from.start({
      onData: (chunk, release) => {
        if (!this.#closed.has(to)) return to.write(chunk, release);
        // Nobody is there any more: as TCP answers data to a closed socket.
        release?.();
        from.reset();
        return false;
      },
      onEnd: () => to.shutdown(),
      onDrain: () => to.resume(),
      onClosed: (cause) => this.#endClosed(from, to, side, cause),
    });
  }

  #endClosed(from: End, to: End, side: Side, cause: Error | undefined): void {
    this.#closed.add(from);
    // What follows may close the other end at once, which then is the last.
    const last = this.#closed.size === 2;
    if (cause !== undefined && this.#error === undefined) {
      this.#error = cause;
      this.#brokenBy = side;
    }
    if (cause !== undefined) to.reset();
    // It may wait for a drain that will not come now.
    else to.resume();
    if (last) this.#onDone({ error: this.#error, brokenBy: this.#brokenBy });
  }
}
