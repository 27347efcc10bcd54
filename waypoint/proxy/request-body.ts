/**
 * The body of a request on its way from the client to one try after another. What has come is kept
 * until it is sure that no further try needs it, or until it is too much to keep.
 */
import type { PeekedBody } from "../filter/stage.ts";
import type { ServerExchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { BodyPeek } from "./body-peek.ts";
import { DRAIN_BYTES, REPLAY_BYTES } from "./limits.ts";

/** Who takes a body: the upstream of a try, a mirror. */
export interface BodySink {
  /** False: no more until `RequestBody.drained`. */
  write(chunk: Uint8Array): boolean;
  end(trailers?: HeaderList): void;
}

export class RequestBody {
  /** Bytes that came from the client. */
  bytes = 0;
  readonly #exchange: ServerExchange;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #keeping = true;
  #sink: BodySink | undefined;
  readonly #copies: BodySink[] = [];
  #ended: boolean;
  #trailers: HeaderList | undefined;
  #discarding = false;
  #discarded = 0;
  #peek: BodyPeek | undefined;

  constructor(exchange: ServerExchange) {
    this.#exchange = exchange;
    this.#ended = exchange.body.kind === "none";
  }

  /** Whether another try can have all of it. */
  get replayable(): boolean {
    return this.#keeping;
  }

  /** Whether all of it has come. */
  get complete(): boolean {
    return this.#ended;
  }

  /** Passes on what comes, and keeps it. False: the client is to be held back. */
  onData(chunk: Uint8Array): boolean {
    this.bytes += chunk.length;
    if (this.#discarding) return this.#discard(chunk.length);
    if (this.#keeping) {
      this.#kept.push(chunk);
      this.#keptBytes += chunk.length;
    }
    for (const copy of this.#copies) copy.write(chunk);
    if (this.#sink === undefined) {
      const wanted = this.#peek?.hasMore(this.#kept, this.#keptBytes) ?? false;
      return wanted || this.#keptBytes < REPLAY_BYTES;
    }
    this.#forgetIfTooMuch();
    return this.#sink.write(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    this.#peek?.hasAll(this.#kept);
    this.#sink?.end(trailers);
    for (const copy of this.#copies) copy.end(trailers);
  }

  /**
   * Waits for all of it or for more than `maxBytes`, before there is a sink. Rejects when it is
   * forgotten before.
   */
  peek(maxBytes: number): Promise<PeekedBody> {
    this.#peek = new BodyPeek(maxBytes);
    if (this.#ended) this.#peek.hasAll(this.#kept);
    else if (this.#peek.hasMore(this.#kept, this.#keptBytes)) this.#askForMore();
    return this.#peek.body;
  }

  /** Begins with what has come so far. Not for a body of kind `none`. */
  attach(sink: BodySink): void {
    this.#sink = sink;
    let room = true;
    for (const chunk of this.#kept) room = sink.write(chunk);
    this.#forgetIfTooMuch();
    if (this.#ended) sink.end(this.#trailers);
    else if (room) this.#exchange.resume();
  }

  /** The try is over; what comes meanwhile is kept for the next. */
  detach(): void {
    this.#sink = undefined;
  }

  /** The sink takes more. */
  drained(): void {
    if (this.#sink !== undefined && !this.#ended) this.#exchange.resume();
  }

  /** Copies what has come and what comes. It never holds the client back. */
  copyTo(sink: BodySink): void {
    for (const chunk of this.#kept) sink.write(chunk);
    if (this.#ended) sink.end(this.#trailers);
    else this.#copies.push(sink);
  }

  /** After a 101: whatever comes from now on goes there, until the client says that it ends. */
  tunnelTo(sink: BodySink): void {
    this.forget();
    this.#ended = false;
    this.#sink = sink;
    this.#exchange.resume();
  }

  /** No further try will want it. */
  forget(): void {
    this.#peek?.isGone();
    this.#keeping = false;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  /** Nobody wants it any more: what is short is read and dropped, so that the client is heard. */
  discardRest(): void {
    this.#sink = undefined;
    this.forget();
    if (this.#discarding || this.#ended) return;
    this.#discarding = true;
    this.#exchange.resume();
  }

  /** A client that waits for leave to send its body gets it (RFC 9110 10.1.1). */
  #askForMore(): void {
    const expected = this.#exchange.request.headers.get("expect") ?? "";
    const waits = this.bytes === 0 && expected.toLowerCase() === "100-continue";
    if (waits) this.#exchange.inform({ status: 100, headers: new HeaderList() });
    this.#exchange.resume();
  }

  #discard(bytes: number): boolean {
    this.#discarded += bytes;
    if (this.#discarded <= DRAIN_BYTES) return true;
    this.#exchange.reset("limit");
    return false;
  }

  #forgetIfTooMuch(): void {
    if (this.#keeping && this.#keptBytes > REPLAY_BYTES) this.forget();
  }
}
