/** HTTP/2 towards an upstream: one connection, many requests. */
import type { End } from "#common/transport/end.ts";
import type { CodecLimits, UpstreamConnection, UpstreamHandlers } from "../engine.ts";
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import { UnsentExchange } from "../h1/unsent-exchange.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { H2ClientStream } from "./client-stream.ts";
import type { StreamEnd } from "./closed-streams.ts";
import { H2Connection } from "./connection.ts";
import { MAX_STREAM_ID, NO_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } from "./frames.ts";
import { requestToBlock, responseFromBlock, trailersFromBlock } from "./h2-head.ts";
import { areTrailersValid, validateResponse } from "./header-validation.ts";
import type { HeaderBlock } from "./hpack/decoder.ts";
import { endedEarly, type H2Stream } from "./stream.ts";

const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };

/** A request that waits until another is over. */
interface Waiting {
  readonly stream: H2ClientStream;
  readonly flat: readonly string[];
  readonly bodiless: boolean;
}

export class H2ClientConnection extends H2Connection implements UpstreamConnection {
  protected override readonly streams = new Map<number, H2ClientStream>();
  readonly #handlers: UpstreamHandlers;
  readonly #waiting: Waiting[] = [];
  #requests = 0;
  /** Exchanges whose end has not been told. */
  #active = 0;
  #next = 1;
  /** No further requests. */
  #leaving = false;

  constructor(end: End, limits: CodecLimits, handlers: UpstreamHandlers) {
    super(end, limits, false);
    this.#handlers = handlers;
    this.begin();
  }

  get capacity(): number {
    const ours = this.limits.concurrentStreams;
    return Math.min(ours, this.peer.concurrentStreams ?? ours);
  }

  get active(): number {
    return this.#active;
  }

  get exhausted(): boolean {
    return this.#leaving || this.deaf || this.#requests >= this.limits.requestsPerConnection;
  }

  request(head: RequestHead, body: BodyLength, events: ClientExchangeEvents): ClientExchange {
    if (this.#leaving || this.deaf || this.#next > MAX_STREAM_ID) {
      return new UnsentExchange(CLOSING, events);
    }
    this.#requests++;
    this.#active++;
    this.allowIdle(undefined);
    const stream = new H2ClientStream(this, head.method, events);
    const waiting = { stream, flat: requestToBlock(head, body), bodiless: body.kind === "none" };
    if (this.streams.size < this.capacity) this.#send(waiting);
    else this.#waiting.push(waiting);
    return stream;
  }

  close(): void {
    this.#leaving = true;
    if (this.#active === 0) this.#retire();
  }

  /** Its consumer is about to be told. */
  onExchangeOver(stream: H2ClientStream): void {
    const at = this.#waiting.findIndex((waiting) => waiting.stream === stream);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#active--;
    this.#handlers.onIdle();
    if (this.#active > 0 || this.deaf) return;
    if (this.#leaving) this.#retire();
    else this.watchIdle();
  }

  override onEndTold(stream: H2Stream): void {
    if (!stream.isOver) return;
    this.remove(stream, "ended");
    stream.tellClosed();
  }

  /** RFC 9113 6.8: what is above `last` was not looked at. */
  override onGoaway(last: number, _code: number): void {
    this.guard.onIdleFrame();
    this.#leaving = true;
    const why = new ExchangeError("not-sent", "the upstream takes no more requests");
    // Those first that wait: each of the others makes room for one.
    for (const { stream } of this.#waiting.splice(0)) this.#drop(stream, why, undefined);
    for (const stream of [...this.streams.values()]) {
      if (stream.id > last) this.#drop(stream, why, undefined);
    }
    if (this.#active === 0) this.#retire();
    else this.#handlers.onIdle();
  }

  protected override get lastPeerStream(): number {
    return 0;
  }

  protected override isUnopened(stream: number): boolean {
    return stream >= this.#next || stream % 2 === 0;
  }

  protected override watchIdle(): void {
    this.allowIdle(this.#active === 0 ? this.limits.idleTimeoutMs : undefined);
  }

  protected override onIdle(): void {
    this.#leaving = true;
    this.#retire();
  }

  protected override onPong(): void {
    return;
  }

  protected override onPeerSettings(): void {
    super.onPeerSettings();
    this.#admit();
  }

  protected override onHeaders(id: number, block: HeaderBlock, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) this.onStray(id);
    else if (stream.remoteEnded) this.onStreamFault(id, STREAM_CLOSED, "HEADERS behind the end");
    else if (block.tooLarge) this.reset(stream, "limit", "the response's header is too large");
    else if (stream.hasHead) this.#onTrailers(stream, block.flat, endStream);
    else this.#onResponse(stream, block.flat, endStream);
  }

  protected override onPeerReset(stream: H2Stream, code: number): void {
    if (stream.isOver) return;
    const error = endedEarly(code);
    if (code === NO_ERROR && stream.remoteEnded && !stream.endTold) {
      // The response has come, and is still being read; no more of the request is wanted.
      stream.mute(error);
      return;
    }
    this.#drop(stream, error, "reset");
  }

  protected override onLocalEnd(stream: H2Stream): void {
    if (stream.endTold) this.onEndTold(stream);
  }

  protected override onRemoved(): void {
    if (!this.deaf) this.#admit();
  }

  protected override onShut(why: ExchangeError): void {
    super.onShut(why);
    for (const { stream } of this.#waiting.splice(0)) this.#drop(stream, CLOSING, undefined);
  }

  protected override onGone(): void {
    this.#leaving = true;
    for (const { stream } of this.#waiting.splice(0)) this.#drop(stream, CLOSING, undefined);
    this.#handlers.onClosed();
  }

  #onResponse(stream: H2ClientStream, flat: readonly string[], endStream: boolean): void {
    const bytes = validateResponse(flat);
    const head = responseFromBlock(flat);
    const { status } = head;
    const bodiless = stream.method === "HEAD" || status === 204 || status === 304;
    const cutShort = endStream && (status < 200 || (!bodiless && (bytes ?? 0) > 0));
    if (bytes === undefined || cutShort) {
      this.onStreamFault(stream.id, PROTOCOL_ERROR, "a malformed response");
    } else if (status < 200) stream.onInformation(head);
    else {
      stream.expectedBytes = bodiless ? 0 : bytes;
      stream.onHead(head, lengthOf(status, bytes, { bodiless, endStream }));
      if (endStream && !stream.isMute) this.endRemote(stream, undefined);
    }
  }

  #onTrailers(stream: H2ClientStream, flat: readonly string[], endStream: boolean): void {
    if (endStream && areTrailersValid(flat)) this.endRemote(stream, trailersFromBlock(flat));
    else this.onStreamFault(stream.id, PROTOCOL_ERROR, "malformed trailers");
  }

  #send({ stream, flat, bodiless }: Waiting): void {
    stream.id = this.#next;
    this.#next += 2;
    stream.sendWindow = this.peer.initialWindowBytes;
    this.streams.set(stream.id, stream);
    this.sendHeaders(stream, flat, bodiless);
    // What was written while it waited.
    if (stream.queue.length > 0) {
      this.sender.enqueue(stream);
      this.sender.pump();
    } else if (stream.isEnding && !bodiless) this.finish(stream);
  }

  #admit(): void {
    while (this.streams.size < this.capacity) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      // One that has been cancelled is told so in a moment.
      if (!next.stream.isMute) this.#send(next);
    }
  }

  #drop(stream: H2Stream, why: ExchangeError, end: StreamEnd): void {
    stream.silence(why);
    this.remove(stream, end);
    stream.tellClosed();
  }

  #retire(): void {
    if (this.deaf) return;
    this.output.goaway(0, NO_ERROR, "");
    this.shut(CLOSING);
  }
}

/** A length that was said is said on where it is not the body's, too: to HEAD, and with 304. */
function lengthOf(
  status: number,
  bytes: number,
  { bodiless, endStream }: { bodiless: boolean; endStream: boolean },
): BodyLength {
  if (bytes >= 0 && status !== 204 && (bodiless || !endStream)) return { kind: "known", bytes };
  return bodiless || endStream ? NONE : UNKNOWN;
}

const CLOSING = new ExchangeError("not-sent", "connection closing");
