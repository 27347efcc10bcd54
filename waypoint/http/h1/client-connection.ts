/** HTTP/1.1 towards an upstream: one request at a time on a connection that is used again. */
import { MeshError } from "#common/runtime/errors.ts";
import type { End, EndEvents } from "#common/transport/end.ts";
import type { CodecLimits, UpstreamConnection, UpstreamHandlers } from "../engine.ts";
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { LINGER_MS } from "../limits.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { H1ClientExchange } from "./client-exchange.ts";
import { Deadline, type Deadlined } from "./deadlines.ts";
import { ownBytes } from "./head-buffer.ts";
import { MessageReader, type ReaderOwner, type ReadFault } from "./message-reader.ts";
import { Output } from "./output.ts";
import { readResponse } from "./response-head.ts";
import { UnsentExchange } from "./unsent-exchange.ts";
import { requestText } from "./write-head.ts";

export class H1ClientConnection implements UpstreamConnection, EndEvents, ReaderOwner, Deadlined {
  readonly capacity = 1;
  readonly output: Output;
  readonly reader: MessageReader;
  readonly #limits: CodecLimits;
  readonly #end: End;
  readonly #handlers: UpstreamHandlers;
  readonly #deadline: Deadline;
  #exchange: H1ClientExchange | undefined;
  #requests = 0;
  /** No further requests. */
  #leaving = false;
  #closed = false;
  #inputEnded = false;
  /** We have ended it. */
  #retired = false;
  /** The end waits for `resume`. */
  #paused = false;
  #cut: ExchangeError | undefined;

  constructor(end: End, limits: CodecLimits, handlers: UpstreamHandlers) {
    this.#end = end;
    this.#limits = limits;
    this.#handlers = handlers;
    this.output = new Output(end);
    this.reader = new MessageReader(this, limits);
    this.reader.hold();
    this.#deadline = new Deadline(this);
    this.#deadline.set(limits.idleTimeoutMs);
    end.start(this);
  }

  get active(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  get exhausted(): boolean {
    return this.#leaving || this.#requests >= this.#limits.requestsPerConnection;
  }

  request(head: RequestHead, body: BodyLength, events: ClientExchangeEvents): ClientExchange {
    if (this.#exchange !== undefined) {
      throw new MeshError("UPSTREAM_BUSY", "an HTTP/1.1 connection takes one request at a time", {
        hint: "ask the connection for `active` and `capacity` before",
      });
    }
    if (this.exhausted) {
      return new UnsentExchange(new ExchangeError("not-sent", "connection closing"), events);
    }
    const text = requestText(head, body);
    if (text === undefined) return new UnsentExchange(UNWRITABLE, events);
    this.#requests++;
    this.#deadline.clear();
    this.reader.expectHead();
    const exchange = new H1ClientExchange(this, { head, body, events });
    this.#exchange = exchange;
    exchange.send(text);
    return exchange;
  }

  close(): void {
    this.#leaving = true;
    if (this.#exchange === undefined) this.#retire();
  }

  destroy(): void {
    this.cut(new ExchangeError("reset", "the connection was closed"));
  }

  /** Resets the connection; the exchange hears of `why`. */
  cut(why: ExchangeError): void {
    this.#leaving = true;
    if (this.#closed) return;
    this.#cut ??= why;
    this.#end.reset();
  }

  onData(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    const bytes = ownBytes(chunk, release);
    if (this.#exchange === undefined) {
      // Nobody asked: whoever came next would take it for an answer.
      this.#discard();
      return !this.#closed;
    }
    this.#exchange.answered = true;
    const more = this.reader.push(bytes);
    this.#paused = !more;
    return more;
  }

  onEnd(): void {
    this.#inputEnded = true;
    this.#leaving = true;
    this.#checkInputEnd();
  }

  onDrain(): void {
    this.output.drained();
    this.#exchange?.drained();
  }

  onClosed(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leaving = true;
    this.#deadline.close();
    this.reader.discard();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const why = this.#cut ?? new ExchangeError("reset", error?.message ?? ENDED_EARLY);
    exchange?.closed(exchange.over ? undefined : why);
    this.#handlers.onClosed();
  }

  onDeadline(): void {
    if (this.#retired) this.#discard();
    else if (this.#exchange === undefined) this.#retire();
    else this.cut(new ExchangeError("timeout", "the response's header took too long"));
  }

  onHeadBegun(): void {
    this.#deadline.set(this.#limits.headersTimeoutMs);
  }

  onHead(head: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#deadline.clear();
    const response = readResponse(head, this.#limits.headerCount, exchange.request);
    if ("code" in response) this.onFault(response);
    else exchange.response(response);
  }

  onBody(chunk: Buffer): boolean {
    return this.#exchange?.data(chunk) ?? false;
  }

  onBodyEnd(trailers: HeaderList | undefined): void {
    this.#exchange?.bodyEnded(trailers);
  }

  onFault({ code, message }: ReadFault): void {
    this.cut(new ExchangeError(code, message));
  }

  /** Reads on, if anything may be read. */
  advance(): void {
    if (this.#closed) return;
    const more = this.reader.advance();
    this.#checkInputEnd();
    if (!more || !this.#paused) return;
    this.#paused = false;
    this.#end.resume();
  }

  shutdown(): void {
    this.#end.shutdown();
  }

  /** The response is complete. `written`: so was the request, else nobody knows what is next. */
  completed(
    exchange: H1ClientExchange,
    { written, keepAlive }: { readonly written: boolean; readonly keepAlive: boolean },
  ): void {
    if (this.#closed) return;
    this.#exchange = undefined;
    // What comes behind the response belongs to nobody.
    const clean = written && !this.reader.hasHeld;
    if (!keepAlive || !clean) this.#leaving = true;
    this.reader.hold();
    this.#deadline.set(this.#limits.idleTimeoutMs);
    exchange.closed(undefined);
    if (this.#exchange !== undefined) return;
    if (!clean) this.#discard();
    else if (this.exhausted) this.#retire();
    this.#handlers.onIdle();
  }

  /** What follows from the upstream's end, once all that came before has been read. */
  #checkInputEnd(): void {
    if (!this.#inputEnded || this.#closed || this.reader.hasHeld) return;
    const exchange = this.#exchange;
    if (exchange === undefined) this.#retire();
    else if (this.reader.untilClose) exchange.inputEnded();
    else this.cut(new ExchangeError("reset", ENDED_EARLY));
  }

  /** Nothing is under way on it: it is ended, and the upstream is given a while to do the same. */
  #retire(): void {
    if (this.#closed || this.#retired) return;
    this.#leaving = true;
    this.#retired = true;
    this.#deadline.set(LINGER_MS);
    this.#end.shutdown();
  }

  /** It cannot be trusted any more. */
  #discard(): void {
    this.#leaving = true;
    if (!this.#closed) this.#end.reset();
  }
}

const ENDED_EARLY = "the upstream closed the connection before its response was complete";
const UNWRITABLE = new ExchangeError("protocol", "the request has what HTTP/1.1 cannot carry");
