/** One end of a proxied connection, as the relay sees it: a TCP socket or an HBONE stream. */

/** What an end tells the relay. `onClosed` is the last call, made exactly once. */
export interface EndEvents {
  /**
   * Bytes arrived. Returns false when the other side cannot take more: the end then pauses itself.
   */
  onData(chunk: Uint8Array, release: (() => void) | undefined): boolean;
  /** The peer will send no more; everything before has been delivered. */
  onEnd(): void;
  /** Queued writes have drained: the other side may resume. */
  onDrain(): void;
  /** The end is gone. `error` is set unless both directions had ended properly. */
  onClosed(error: Error | undefined): void;
}

export interface End {
  readonly bytesRead: number;
  /** Begins delivering to `events`. */
  start(events: EndEvents): void;
  /**
   * Queues bytes, calling `release` when they have left; false when the queue is full (await
   * onDrain).
   */
  write(chunk: Uint8Array, release: (() => void) | undefined): boolean;
  /** Half-close: no more writes. */
  shutdown(): void;
  resume(): void;
  /**
   * Finds out whether a peer that nobody reads from is still there; `onClosed` follows if it is
   * not.
   */
  probe(): void;
  /** Aborts so that the peer sees a reset, not an end. */
  reset(): void;
}
