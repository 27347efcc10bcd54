/**
 * Bounds what waits in streams that nobody reads. HTTP/2 lets a peer send a stream's whole window
 * before its application takes a byte of it, and Node opens the connection's window again as soon
 * as bytes arrive: without a bound of our own, one peer with many streams to applications that do
 * not read could fill the memory of the node's proxy.
 */
import { STALLED_BYTES_PER_TUNNEL, STALLED_BYTES_PER_WORKER, STALLED_CHECK_MS } from "./limits.ts";

/** A stream that is not being read. */
export interface StalledStream {
  /** The connection that it shares with others; undefined once it is over. */
  readonly session: object | undefined;
  /** Bytes that have arrived and were not taken. */
  readonly bufferedBytes: number;
  /** Ends it with ENHANCE_YOUR_CALM; what it holds is given back. */
  shed(error: Error): void;
}

/** The code of errors by which streams were ended here. */
export const STREAM_SHED = "ERR_STREAM_SHED";

export interface StalledBounds {
  readonly perTunnel: number;
  readonly perWorker: number;
}

const BOUNDS: StalledBounds = {
  perTunnel: STALLED_BYTES_PER_TUNNEL,
  perWorker: STALLED_BYTES_PER_WORKER,
};

export class StalledStreams {
  readonly #streams = new Set<StalledStream>();
  readonly #bounds: StalledBounds;
  #timer: NodeJS.Timeout | undefined;

  constructor(bounds = BOUNDS) {
    this.#bounds = bounds;
  }

  add(stream: StalledStream): void {
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => this.check(), STALLED_CHECK_MS).unref();
  }

  delete(stream: StalledStream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Ends streams, those that hold most first, until what is left is within the bounds. */
  check(): void {
    const bySession = new Map<object | undefined, StalledStream[]>();
    let total = 0;
    for (const stream of this.#streams) {
      if (stream.bufferedBytes === 0) continue;
      total += stream.bufferedBytes;
      const others = bySession.get(stream.session);
      if (others === undefined) bySession.set(stream.session, [stream]);
      else others.push(stream);
    }
    if (total <= this.#bounds.perTunnel) return;
    for (const streams of bySession.values()) this.#shed(streams, this.#bounds.perTunnel, "tunnel");
    this.#shed([...bySession.values()].flat(), this.#bounds.perWorker, "data worker");
  }

  #shed(streams: readonly StalledStream[], bound: number, whose: string): void {
    const open = streams.filter((stream) => this.#streams.has(stream));
    let total = open.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0);
    if (total <= bound) return;
    open.sort((a, b) => b.bufferedBytes - a.bufferedBytes);
    for (const stream of open) {
      if (total <= bound) return;
      const bytes = stream.bufferedBytes;
      total -= bytes;
      this.#streams.delete(stream);
      const all = `all of its ${whose}`;
      const message = `${bytes} bytes wait unread, and ${all} are more than ${bound}`;
      stream.shed(Object.assign(new Error(message), { code: STREAM_SHED }));
    }
  }
}
