/** HTTP/2 towards a client: prior knowledge, no push. */
import type { End } from "#common/transport/end.ts";
import type { CodecLimits, ServerConnection, ServerHandlers } from "../engine.ts";
import { ExchangeError } from "../exchange.ts";
import { Deadline } from "../h1/deadlines.ts";
import { HeaderList } from "../header-list.ts";
import { DRAIN_IDLE_MS } from "../limits.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { H2Connection } from "./connection.ts";
import {
  ConnectionFault,
  MAX_STREAM_ID,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from "./frames.ts";
import { requestFromBlock, trailersFromBlock } from "./h2-head.ts";
import { areTrailersValid, validateRequest } from "./header-validation.ts";
import type { HeaderBlock } from "./hpack/decoder.ts";
import { H2ServerStream } from "./server-stream.ts";
import { endedEarly, type H2Stream } from "./stream.ts";

/**
 * RFC 9113 6.8: `told`: no more is wanted, but what is on its way is served. `closing`: it is not.
 */
type Drain = "no" | "told" | "closing";

const DRAIN_PING = Buffer.from("draining");
const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };

export class H2ServerConnection extends H2Connection implements ServerConnection {
  protected override readonly streams = new Map<number, H2ServerStream>();
  readonly #handlers: ServerHandlers;
  /** Of the answer to a drain's PING. */
  #notice: Deadline | undefined;
  #last = 0;
  /** Ids that were passed over last: what lies between is open to nobody (RFC 9113 5.1.1). */
  #passedFrom = 0;
  #passedTo = 0;
  /** The last that came when it was too late: what belongs to it is ignored, too. */
  #late = 0;
  #requests = 0;
  #drain: Drain = "no";

  constructor(end: End, limits: CodecLimits, handlers: ServerHandlers) {
    super(end, limits, true);
    this.#handlers = handlers;
    this.begin();
  }

  drain(): void {
    if (this.deaf || this.#drain !== "no") return;
    this.#drain = "told";
    this.output.goaway(MAX_STREAM_ID, NO_ERROR, "");
    // What the client sent before it heard is here when it has answered.
    this.output.ping(0, DRAIN_PING);
    this.#notice = new Deadline({ onDeadline: () => this.onPong() });
    this.#notice.set(DRAIN_IDLE_MS);
  }

  override onEndTold(): void {
    return;
  }

  override onGoaway(): void {
    // A client that opens no more streams ends the connection itself.
    this.guard.onIdleFrame();
  }

  protected override get lastPeerStream(): number {
    return this.#last;
  }

  protected override isUnopened(stream: number): boolean {
    if (stream > Math.max(this.#last, this.#late) || stream % 2 === 0) return true;
    return stream > this.#passedFrom && stream < this.#passedTo;
  }

  protected override watchIdle(): void {
    this.allowIdle(this.streams.size === 0 ? this.limits.idleTimeoutMs : undefined);
  }

  protected override onIdle(): void {
    this.#close();
  }

  protected override onPong(): void {
    if (this.#drain !== "told" || this.deaf) return;
    this.#drain = "closing";
    this.#notice?.clear();
    if (this.streams.size === 0) this.#close();
    else this.output.goaway(this.#last, NO_ERROR, "");
  }

  protected override onHeaders(id: number, block: HeaderBlock, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#onTrailers(stream, block, endStream);
    else if (id % 2 === 0)
      throw new ConnectionFault(PROTOCOL_ERROR, "a stream of a client's, even");
    else if (id <= this.#last) this.onStray(id);
    else if (this.#drain === "closing") {
      this.#late = Math.max(this.#late, id);
      this.guard.onIdleFrame();
    } else {
      if (id > this.#last + 2) {
        this.#passedFrom = this.#last;
        this.#passedTo = id;
      }
      this.#last = id;
      this.#onRequest(id, block, endStream);
    }
  }

  protected override onPeerReset(stream: H2Stream, code: number): void {
    this.remove(stream, "reset");
    stream.silence(endedEarly(code));
    stream.tellClosed();
    this.guard.onReset();
  }

  /**
   * What the client still has to say of a request that has been answered is refused (RFC 9113 8.1).
   */
  protected override onLocalEnd(stream: H2Stream): void {
    if (!stream.remoteEnded) this.output.resetStream(stream.id, NO_ERROR);
    this.remove(stream, stream.remoteEnded ? "ended" : undefined);
    stream.tellClosed();
  }

  protected override onRemoved(): void {
    if (this.streams.size > 0 || this.deaf) return;
    if (this.#drain === "closing") this.#close();
    else this.watchIdle();
  }

  protected override onGone(): void {
    this.#notice?.close();
    this.#handlers.onClosed(this.fault);
  }

  #close(): void {
    this.output.goaway(this.#last, NO_ERROR, "");
    this.shut(new ExchangeError("reset", "the connection was closed"));
  }

  #onTrailers(stream: H2ServerStream, { flat, tooLarge }: HeaderBlock, endStream: boolean): void {
    const { id } = stream;
    if (stream.remoteEnded) this.onStreamFault(id, STREAM_CLOSED, "HEADERS behind the end");
    else if (tooLarge) this.reset(stream, "limit", "trailers that are too large");
    else if (!endStream || !areTrailersValid(flat)) {
      this.onStreamFault(id, PROTOCOL_ERROR, "malformed trailers");
    } else this.endRemote(stream, trailersFromBlock(flat));
  }

  #onRequest(id: number, { flat, tooLarge }: HeaderBlock, endStream: boolean): void {
    if (this.streams.size >= this.limits.concurrentStreams) {
      this.output.resetStream(id, REFUSED_STREAM);
      this.guard.onReset();
      return;
    }
    this.#requests++;
    if (this.#requests >= this.limits.requestsPerConnection) this.drain();
    if (tooLarge) {
      this.#refuse(id, endStream, 431, "the request's header is too large");
      return;
    }
    const length = validateRequest(flat);
    if (length === undefined || (endStream && length > 0)) {
      this.onStreamFault(id, PROTOCOL_ERROR, "a malformed request");
      return;
    }
    const request = requestFromBlock(flat);
    if ("malformed" in request) this.#refuse(id, endStream, 400, request.malformed);
    else this.#handlers.onExchange(this.#open(id, request, endStream, length));
  }

  #open(id: number, head: RequestHead, endStream: boolean, bytes: number): H2ServerStream {
    const length = endStream ? NONE : bytes < 0 ? UNKNOWN : ({ kind: "known", bytes } as const);
    const stream = new H2ServerStream(this, { head, length }, this.limits.bodyTimeoutMs);
    stream.id = id;
    stream.sendWindow = this.peer.initialWindowBytes;
    stream.remoteEnded = endStream;
    stream.expectedBytes = bytes;
    this.streams.set(id, stream);
    if (this.streams.size === 1) this.allowIdle(undefined);
    return stream;
  }

  /** Answers by itself. */
  #refuse(id: number, endStream: boolean, status: number, message: string): void {
    const stream = this.#open(id, REFUSED, endStream, -1);
    const headers = new HeaderList(["content-type", "text/plain"]);
    stream.respond({ status, headers }, UNKNOWN);
    stream.write(Buffer.from(`${message}\n`));
    stream.end();
  }
}

const REFUSED: RequestHead = {
  version: "2",
  method: "GET",
  scheme: "http",
  authority: "",
  path: "/",
  headers: new HeaderList(),
};
