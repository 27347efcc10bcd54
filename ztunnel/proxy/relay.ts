/**
 * Carries bytes both ways between two ends until both directions are over: half-closes stay half-closes,
 * resets stay resets, and neither side is read faster than the other takes it.
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
  let open = 2;
  let error: Error | undefined;
  let brokenBy: RelayOutcome["brokenBy"];

  const connect = (from: End, to: End, side: "downstream" | "upstream"): void =>
    from.start({
      onData: (chunk, release) => to.write(chunk, release),
      onEnd: () => to.shutdown(),
      onDrain: () => to.resume(),
      onClosed: (cause) => {
        open--;
        if (cause !== undefined && error === undefined) {
          error = cause;
          brokenBy = side;
        }
        if (cause !== undefined) to.reset();
        if (open === 0) onDone({ error, brokenBy });
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
