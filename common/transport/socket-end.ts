/** A stream of Node's (a `net.Socket`, a `TLSSocket`, any Duplex) as one end of a relay. */
import net from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { End, EndEvents } from "./end.ts";
import type { FlushBatcher } from "./flush-batcher.ts";
import { SOCKET_WRITE_QUEUE_BYTES } from "./limits.ts";
import { rawSocketOf, resetOnDestroy } from "./raw-socket.ts";

const NOTHING = new Uint8Array(0);

export class SocketEnd implements End {
  bytesRead = 0;
  readonly #stream: Duplex;
  readonly #batcher: FlushBatcher;
  /** The connection that the stream is, or that its TLS was made over. */
  readonly #tcp: net.Socket | undefined;
  #error: Error | undefined;
  #corked = false;
  /** Whoever writes was told to wait. */
  #full = false;

  /**
   * Takes over a connected stream of which nobody reads; nothing is read before `start`. A
   * TLSSocket must have been made over another stream (as servers do, and `tls.connect({ socket
   * })`): else it cannot be reset, only closed.
   */
  constructor(stream: Duplex, batcher: FlushBatcher) {
    this.#stream = stream;
    this.#batcher = batcher;
    this.#tcp = tcpOf(stream);
    stream.allowHalfOpen = true;
    stream.on("error", (error: Error) => {
      this.#error ??= error;
    });
  }

  start(events: EndEvents): void {
    const stream = this.#stream;
    if (stream.closed) {
      setImmediate(() => this.#tellClosed(events));
      return;
    }
    stream.once("close", () => this.#tellClosed(events));
    stream.on("end", () => events.onEnd());
    stream.on("drain", () => {
      if (!this.#full) return;
      this.#full = false;
      events.onDrain();
    });
    stream.on("data", (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!events.onData(chunk, undefined)) stream.pause();
    });
    // Node tells an end that comes first even where nobody reads.
    if (stream.readableEnded) events.onEnd();
    else stream.resume();
  }

  /** The stream's own mark is low for what one round may gather: it counts only where ours is. */
  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) {
      release?.();
      return false;
    }
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      this.#batcher.add(this);
    }
    const more = stream.write(chunk, release);
    this.#full ||= !more && stream.writableLength >= SOCKET_WRITE_QUEUE_BYTES;
    return !this.#full;
  }

  flush(): void {
    this.#corked = false;
    this.#stream.uncork();
  }

  shutdown(): void {
    this.#stream.end();
  }

  resume(): void {
    this.#stream.resume();
  }

  /**
   * A socket that is not being read is not polled, so that its reset goes unnoticed. A write of
   * nothing sends nothing, but brings the error: below TLS, which would swallow it. Who
   * relays has to probe now and then: TLS of Node can lose the error of a write altogether.
   */
  probe(): void {
    const stream = this.#stream;
    const unread = stream.isPaused() || stream.readableEnded;
    const allSent = stream.writableEnded && stream.writableLength === 0;
    if (!unread || allSent || stream.destroyed) return;
    const tcp = this.#tcp;
    if (tcp?.writable === true && tcp.writableLength === 0) tcp.write(NOTHING);
  }

  reset(): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    // While a half-close is under way libuv refuses to reset. All was sent then: closing will do.
    const { writableEnded, writableFinished, writableLength } = stream;
    const halfClosing = writableEnded && !writableFinished && writableLength === 0;
    if (!halfClosing && this.#tcp !== undefined) resetOnDestroy(this.#tcp);
    stream.destroy();
  }

  #tellClosed(events: EndEvents): void {
    const { readableEnded, writableFinished } = this.#stream;
    const cut = !readableEnded || !writableFinished;
    events.onClosed(this.#error ?? (cut ? new Error("connection closed") : undefined));
  }
}

/** Of sockets only TCP's have addresses; a TLSSocket over another stream has one that is none. */
function tcpOf(stream: Duplex): net.Socket | undefined {
  const socket = stream instanceof TLSSocket ? rawSocketOf(stream) : stream;
  if (!(socket instanceof net.Socket)) return undefined;
  return socket.remoteFamily === undefined ? undefined : socket;
}
