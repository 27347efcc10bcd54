/** What both ends do alike with an HTTP/2 stream: bodies, trailers, and how it ended. */
import http2, { type Http2Session, type Http2Stream } from "node:http2";
import { cutStream } from "#common/transport/cut-stream.ts";
import type { Flushable, FlushBatcher } from "#common/transport/flush-batcher.ts";
import { ExchangeError, type ExchangeErrorCode } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { trailersFromBlock } from "./h2-head.ts";

const {
  NGHTTP2_CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = http2.constants;

const CODES: Readonly<Record<ExchangeErrorCode, number>> = {
  "not-sent": NGHTTP2_REFUSED_STREAM,
  reset: NGHTTP2_INTERNAL_ERROR,
  protocol: NGHTTP2_PROTOCOL_ERROR,
  limit: NGHTTP2_ENHANCE_YOUR_CALM,
  timeout: NGHTTP2_CANCEL,
};

export interface BodyEvents {
  onData(chunk: Uint8Array): boolean;
  onEnd(trailers: HeaderList | undefined): void;
  onDrain(): void;
  onClosed(error: ExchangeError | undefined): void;
}

export class H2Body implements Flushable {
  readonly #stream: Http2Stream;
  /** A closed stream no longer knows it. */
  readonly #session: Http2Session | undefined;
  readonly #batcher: FlushBatcher;
  #events: BodyEvents | undefined;
  #trailers: HeaderList | undefined;
  #toSend: HeaderList | undefined;
  #corked = false;
  #ended = false;
  #closed = false;
  #cut: ExchangeError | undefined;
  /** Nothing more is sent and what still comes is not wanted: the exchange is complete. */
  #restUnwanted = false;

  constructor(stream: Http2Stream, batcher: FlushBatcher) {
    this.#stream = stream;
    this.#session = stream.session;
    this.#batcher = batcher;
    stream.on("error", IGNORE_TOLD_BY_CLOSE);
    stream.on("close", () => this.#onClose());
    stream.on("trailers", (_trailers, _flags, rawTrailers: string[]) => {
      this.#trailers = trailersFromBlock(rawTrailers);
    });
    stream.on("wantTrailers", () => this.#sendTrailers());
  }

  /** Begins delivering; nothing is read before. */
  start(events: BodyEvents): void {
    this.#events = events;
    const stream = this.#stream;
    if (this.#closed) {
      setImmediate(() => events.onClosed(this.#outcome()));
      return;
    }
    stream.on("drain", () => events.onDrain());
    if (stream.readableEnded) setImmediate(() => this.#onEnd());
    else stream.on("end", () => this.#onEnd());
    stream.on("data", (chunk: Buffer) => {
      if (!events.onData(chunk)) stream.pause();
    });
  }

  write(chunk: Uint8Array): boolean {
    const stream = this.#stream;
    if (stream.closed || stream.destroyed) return false;
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      this.#batcher.add(this);
    }
    return stream.write(chunk);
  }

  flush(): void {
    this.#corked = false;
    this.#stream.uncork();
  }

  end(trailers: HeaderList | undefined): void {
    this.#toSend = trailers;
    this.#stream.end();
  }

  /** Once all has been sent, what the peer still has to say is refused (RFC 9113 8.1). */
  refuseRest(): void {
    const stream = this.#stream;
    const refuse = (): void => {
      if (stream.readableEnded || stream.closed) return;
      this.#restUnwanted = true;
      stream.close(NGHTTP2_NO_ERROR);
    };
    // A reset overtakes what has not left yet.
    if (stream.writableFinished) setImmediate(refuse);
    else stream.once("finish", () => setImmediate(refuse));
  }

  resume(): void {
    this.#stream.resume();
  }

  cut(code: ExchangeErrorCode, message: string): void {
    this.#cut ??= new ExchangeError(code, message);
    cutStream(this.#stream, CODES[code]);
  }

  #sendTrailers(): void {
    const flat = [...(this.#toSend?.flat ?? [])];
    if (this.#stream.destroyed) return;
    try {
      this.#stream.sendTrailers(toRecord(flat));
    } catch {
      // What cannot be said in HTTP/2 must not look like a complete message.
      this.cut("protocol", "trailers that HTTP/2 cannot carry");
    }
  }

  /** A stream that was reset ends, too, in Node's view: not in its peer's. */
  #onEnd(): void {
    if (this.#ended || this.#closed || (this.#stream.rstCode ?? 0) !== NGHTTP2_NO_ERROR) return;
    this.#ended = true;
    this.#events?.onEnd(this.#trailers);
  }

  #onClose(): void {
    if (this.#closed) return;
    // A stream without a body to read may close before anybody has read its end.
    if (this.#stream.readableEnded) this.#onEnd();
    this.#closed = true;
    this.#events?.onClosed(this.#outcome());
  }

  #outcome(): ExchangeError | undefined {
    if (this.#cut !== undefined) return this.#cut;
    const code = this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
    // A stream that never got a number never left.
    if (this.#stream.id === undefined) return new ExchangeError("not-sent", "connection closing");
    if (code === NGHTTP2_REFUSED_STREAM) return new ExchangeError("not-sent", "stream refused");
    const complete = (this.#ended || this.#restUnwanted) && this.#allSent();
    if (code === NGHTTP2_NO_ERROR && complete) return undefined;
    return new ExchangeError("reset", `HTTP/2 stream ended early, code ${code}`);
  }

  /**
   * Node destroys a stream the moment that its last frame is handed to the connection, and with it
   * the word that the writes before it are done.
   */
  #allSent(): boolean {
    const { writableFinished, writableEnded } = this.#stream;
    return writableFinished || (writableEnded && this.#session?.destroyed === false);
  }
}

function toRecord(flat: readonly string[]): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < flat.length; i += 2) {
    const [name = "", value = ""] = [flat[i], flat[i + 1]];
    const before = record[name];
    record[name] = before === undefined ? value : [before, value].flat();
  }
  return record;
}

/** `close` follows every error, and says the code. */
const IGNORE_TOLD_BY_CLOSE = (): void => undefined;
