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
  const closed = new Set<End>();
  let error: Error | undefined;
  let brokenBy: RelayOutcome["brokenBy"];

  const connect = (from: End, to: End, side: "downstream" | "upstream"): void =>
    from.start({
      onData: (chunk, release) => {
        if (!closed.has(to)) return to.write(chunk, release);
        // Nobody is there any more: as TCP answers data to a closed socket.
        release?.();
        from.reset();
        return false;
      },
      onEnd: () => to.shutdown(),
      onDrain: () => to.resume(),
      onClosed: (cause) => {
        closed.add(from);
        if (cause !== undefined && error === undefined) {
          error = cause;
          brokenBy = side;
        }
        if (cause !== undefined) to.reset();
        // It may wait for a drain that will not come now.
        else to.resume();
        if (closed.size === 2) onDone({ error, brokenBy });
      },
    });

  connect(downstream, upstream, "downstream");
  connect(upstream, downstream, "upstream");
  return {
    abort(reason) {
      error ??= reason;
      downstream.reset();
      upstream.reset();
    },
  };
}
