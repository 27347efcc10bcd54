/** An HBONE stream (one HTTP/2 CONNECT) as one end of a relay. */
import http2, { type Http2Stream } from "node:http2";
import { cutStream } from "./cut-stream.ts";
import type { End, EndEvents } from "./end.ts";
import { type ConnectionFailure, limitReached } from "./failure.ts";
import type { FlushBatcher } from "./flush-batcher.ts";
import type { StalledStream, StalledStreams } from "./stalled-streams.ts";

const { NGHTTP2_CANCEL, NGHTTP2_CONNECT_ERROR, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR } =
  http2.constants;

/** What the ends of one data worker share. */
export interface HboneEndContext {
  readonly batcher: FlushBatcher;
  readonly stalled: StalledStreams;
}

export class HboneEnd implements End, StalledStream {
  bytesRead = 0;
  readonly #stream: Http2Stream;
  readonly #batcher: FlushBatcher;
  readonly #stalled: StalledStreams;
  /**
   * Whether the connection under the stream still lives: a stream that dies with it was cut, not
   * ended.
   */
  readonly #transportAlive: () => boolean;
  #error: Error | undefined;
  #shedding: ConnectionFailure | undefined;
  #corked = false;
  #ended = false;
  #closed = false;

  /** Nothing is read before `start`. */
  constructor(
    stream: Http2Stream,
    { batcher, stalled }: HboneEndContext,
    transportAlive: () => boolean,
  ) {
    this.#stream = stream;
    this.#batcher = batcher;
    this.#stalled = stalled;
    stalled.add(this);
    stream.once("close", () => stalled.delete(this));
    this.#transportAlive = transportAlive;
    stream.on("error", (error: Error) => {
      this.#error ??= error;
    });
  }

  start(events: EndEvents): void {
    const stream = this.#stream;
    this.#stalled.delete(this);
    stream.on("close", () => this.#onClose(events));
    if (stream.closed || stream.destroyed) {
      setImmediate(() => this.#onClose(events));
      return;
    }
    stream.on("end", () => this.#onEnd(events));
    stream.on("drain", () => events.onDrain());
    stream.on("data", (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (events.onData(chunk, undefined)) return;
      stream.pause();
      this.#stalled.add(this);
    });
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      this.#batcher.add(this);
    }
    return this.#stream.write(chunk, release);
  }

  flush(): void {
    this.#corked = false;
    this.#stream.uncork();
  }

  shutdown(): void {
    this.#stream.end();
  }

  resume(): void {
    this.#stalled.delete(this);
    this.#stream.resume();
  }

  /** Why the stream failed, if it did. */
  get error(): Error | undefined {
    return this.#error;
  }

  get session(): object | undefined {
    return this.#stream.session;
  }

  get bufferedBytes(): number {
    return this.#stream.readableLength;
  }

  /** Why it was ended before it began, if it was shed. */
  get shedding(): ConnectionFailure | undefined {
    return this.#shedding;
  }

  shed(error: Error): void {
    this.#error ??= error;
    this.#shedding = limitReached("stalled-bytes", error.message);
    this.#stream.close(NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** Its connection is read and pinged whatever becomes of the stream. */
  probe(): void {
    return;
  }

  /** RFC 9113 8.5: a proxy that sees its TCP connection reset answers RST_STREAM(CONNECT_ERROR). */
  reset(): void {
    cutStream(this.#stream, NGHTTP2_CONNECT_ERROR);
  }

  /**
   * Node also ends streams that were reset, or lost with their connection: those are not the peer's
   * end.
   */
  #onEnd(events: EndEvents): void {
    if (this.#ended || !this.#endedByPeer()) return;
    this.#ended = true;
    events.onEnd();
  }

  /**
   * Istio's proxies close a stream that is over with NO_ERROR or CANCEL; Node a lost one with
   * CANCEL.
   */
  #endedByPeer(): boolean {
    const code = this.#code;
    return code === NGHTTP2_NO_ERROR || (code === NGHTTP2_CANCEL && this.#transportAlive());
  }

  #onClose(events: EndEvents): void {
    if (this.#closed) return;
    this.#closed = true;
    const code = this.#code;
    if (!this.#transportAlive() && !this.#complete()) {
      events.onClosed(this.#error ?? new Error("HBONE connection lost"));
    } else if (code === NGHTTP2_NO_ERROR || code === NGHTTP2_CANCEL) {
      this.#onEnd(events);
      events.onClosed(undefined);
    } else if (code === NGHTTP2_CONNECT_ERROR) {
      // The other side's application reset its connection.
      events.onClosed(Object.assign(new Error("reset by the peer"), { code: "ECONNRESET" }));
    } else {
      events.onClosed(this.#error ?? new Error(`HBONE stream reset with code ${code}`));
    }
  }

  get #code(): number {
    return this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
  }

  /** Both directions ended before the connection did. */
  #complete(): boolean {
    return this.#ended && this.#stream.writableFinished && this.#code === NGHTTP2_NO_ERROR;
  }
}
