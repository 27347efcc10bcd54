/** HTTP/1.1 towards a client: one request at a time; what comes early waits, bounded by a read. */
import type { End, EndEvents } from "#common/transport/end.ts";
import type { CodecLimits, ServerConnection, ServerHandlers } from "../engine.ts";
import { ExchangeError, type ExchangeErrorCode } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { DISCARDED_REQUEST_BYTES, DRAIN_IDLE_MS, LINGER_MS } from "../limits.ts";
import { Deadline, type Deadlined } from "./deadlines.ts";
import { ownBytes } from "./head-buffer.ts";
import { MessageReader, type ReaderOwner, type ReadFault } from "./message-reader.ts";
import { Output } from "./output.ts";
import { type Refusal, readRequest } from "./request-head.ts";
import { H1ServerExchange } from "./server-exchange.ts";
import { refusalText } from "./write-head.ts";

/** `lingering`: we have ended it, the client has not yet. */
type Phase = "open" | "lingering" | "closed";

const NOTHING = new Uint8Array(0);

export class H1ServerConnection implements ServerConnection, EndEvents, ReaderOwner, Deadlined {
  readonly output: Output;
  readonly reader: MessageReader;
  readonly #limits: CodecLimits;
  readonly #end: End;
  readonly #handlers: ServerHandlers;
  readonly #deadline: Deadline;
  #exchange: H1ServerExchange | undefined;
  #phase: Phase = "open";
  #requests = 0;
  #draining = false;
  /** The client sends no more. */
  #inputEnded = false;
  /** The end waits for `resume`. */
  #paused = false;
  /** The next request waits until the client has taken what was sent. */
  #waitsForDrain = false;
  #discarded = 0;
  #fault: Error | undefined;
  /** Why we cut it. */
  #cut: ExchangeError | undefined;

  constructor(end: End, limits: CodecLimits, handlers: ServerHandlers) {
    this.#end = end;
    this.#limits = limits;
    this.#handlers = handlers;
    this.output = new Output(end);
    this.reader = new MessageReader(this, limits);
    this.#deadline = new Deadline(this);
    this.#deadline.set(limits.idleTimeoutMs);
    end.start(this);
  }

  drain(): void {
    this.#draining = true;
    const idle = this.#exchange === undefined && !this.reader.inHead && this.#phase === "open";
    if (idle) this.#deadline.set(DRAIN_IDLE_MS);
  }

  destroy(): void {
    this.cut(new ExchangeError("reset", "the connection was closed"));
  }

  /** Whether the response that begins now is the last on this connection. */
  get last(): boolean {
    const spent = this.#requests >= this.#limits.requestsPerConnection;
    return this.#draining || spent || (this.#inputEnded && !this.reader.hasHeld);
  }

  get inputEnded(): boolean {
    return this.#inputEnded;
  }

  /** Resets the connection; the exchange hears of `why`. */
  cut(why: ExchangeError): void {
    if (this.#phase === "closed") return;
    this.#cut ??= why;
    this.#end.reset();
  }

  onData(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    const bytes = ownBytes(chunk, release);
    if (this.#phase !== "open") return this.#discard(bytes.length);
    const more = this.reader.push(bytes) || this.reader.readsAhead;
    this.#paused = !more;
    return more;
  }

  onEnd(): void {
    this.#inputEnded = true;
    this.#checkInputEnd();
  }

  onDrain(): void {
    this.output.drained();
    if (this.#phase !== "open") return;
    this.watch();
    this.#exchange?.drained();
    if (this.#waitsForDrain) this.#next();
  }

  onClosed(error: Error | undefined): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#deadline.close();
    this.reader.discard();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const why = this.#cut ?? new ExchangeError("reset", error?.message ?? "the client left");
    exchange?.closed(exchange.over && error === undefined ? undefined : why);
    this.#handlers.onClosed(this.#fault);
  }

  onDeadline(): void {
    if (this.#phase === "lingering") this.cut(new ExchangeError("timeout", "the client lingers"));
    else if (this.output.full) this.cut(new ExchangeError("timeout", "the client reads nothing"));
    else if (this.#exchange !== undefined) this.fail(BODY_OVERDUE, "timeout");
    else if (this.reader.inHead) this.fail(HEAD_OVERDUE, "timeout");
    else this.#finish();
  }

  onHeadBegun(): void {
    this.#deadline.set(this.#limits.headersTimeoutMs);
  }

  onHead(head: Buffer): void {
    const request = readRequest(head, this.#limits.headerCount);
    if ("status" in request) {
      this.onFault({ ...request, code: "protocol" });
      return;
    }
    this.#requests++;
    this.#deadline.clear();
    this.reader.hold();
    this.#exchange = new H1ServerExchange(this, request);
    this.#handlers.onExchange(this.#exchange);
  }

  onBody(chunk: Buffer): boolean {
    const exchange = this.#exchange;
    if (exchange === undefined) return this.#discard(chunk.length);
    if (this.reader.inBody) this.#deadline.set(this.#limits.bodyTimeoutMs);
    const more = exchange.data(chunk);
    if (!more && !this.output.full) this.#deadline.clear();
    return more;
  }

  onBodyEnd(trailers: HeaderList | undefined): void {
    if (this.#exchange === undefined) this.#next();
    else {
      this.watch();
      this.#exchange.bodyEnded(trailers);
    }
  }

  onFault(fault: Refusal & Pick<ReadFault, "code">): void {
    this.#fault ??= new Error(fault.message);
    this.fail(fault, fault.code);
  }

  /** Sets the deadline that the state of the exchange asks for. */
  watch(): void {
    if (this.#phase !== "open" || this.#exchange === undefined) return;
    const waits = this.output.full || (this.reader.inBody && !this.reader.blocked);
    if (waits) this.#deadline.set(this.#limits.bodyTimeoutMs);
    else this.#deadline.clear();
  }

  /** Reads on, if anything may be read. */
  advance(): void {
    if (this.#phase !== "open") return;
    const more = this.reader.advance() || this.reader.readsAhead;
    this.#checkInputEnd();
    if (more) this.#resumeEnd();
  }

  /** Ends our direction of an upgraded connection. */
  shutdown(): void {
    this.#end.shutdown();
  }

  /**
   * The response is complete. `last`: so was the connection said to be; `discard`: what is missing
   * of the request may be read and thrown away, and the next one served.
   */
  completed(exchange: H1ServerExchange, last: boolean, discard: boolean): void {
    if (this.#phase !== "open") return;
    this.#exchange = undefined;
    const rest = this.reader.inBody;
    exchange.closed(undefined);
    if (this.#phase !== "open") return;
    if (last || (rest && !discard)) this.#finish();
    else if (rest) this.#discardBody();
    else this.#next();
  }

  #discardBody(): void {
    this.#discarded = 0;
    this.#deadline.set(this.#limits.bodyTimeoutMs);
    this.reader.unblock();
    this.advance();
  }

  #next(): void {
    this.#waitsForDrain = this.output.full;
    if (this.#waitsForDrain) {
      this.reader.hold();
      this.#deadline.set(this.#limits.bodyTimeoutMs);
      return;
    }
    this.reader.expectHead();
    this.#deadline.set(this.#draining ? DRAIN_IDLE_MS : this.#limits.idleTimeoutMs);
    // Whoever ended the response still has to put the upstream's connection back.
    if (this.reader.hasHeld) queueMicrotask(() => this.advance());
    else this.advance();
  }

  /** Of a request that needs no answer, or of a client that is being waited for. */
  #discard(byteCount: number): boolean {
    this.#discarded += byteCount;
    if (this.#discarded <= DISCARDED_REQUEST_BYTES) return true;
    if (this.#phase === "lingering") this.destroy();
    else this.#finish();
    return this.#phase !== "closed";
  }

  /**
   * What follows from the client's end, once all that came before has been read. Behind a request
   * that is being answered others may wait: their client has left as well, unless it says close in
   * one of them.
   */
  #checkInputEnd(): void {
    if (!this.#inputEnded || this.#phase !== "open") return;
    const exchange = this.#exchange;
    const { held } = this.reader;
    if (held !== undefined) {
      if (exchange?.abandoned && !SAYS_CLOSE.test(held.toString("latin1"))) this.cut(clientLeft());
    } else if (exchange === undefined) this.#finish();
    else if (this.reader.inBody) this.fail(TRUNCATED, "reset");
    else if (exchange.abandoned) this.cut(clientLeft());
    else exchange.inputEnded();
  }

  /** Answers by itself where there is no answer yet, and closes. */
  fail({ status, message }: Refusal, code: ExchangeErrorCode): void {
    const exchange = this.#exchange;
    const why = new ExchangeError(code, message);
    if (exchange?.responded) {
      this.cut(why);
      return;
    }
    this.#exchange = undefined;
    this.reader.discard();
    this.output.inform(refusalText(status, message));
    exchange?.closed(why);
    this.#finish();
  }

  /** Ends our direction, and waits a while for the client to end its own. */
  #finish(): void {
    if (this.#phase !== "open") return;
    this.#phase = "lingering";
    this.#discarded = 0;
    this.reader.discard();
    this.output.flush();
    this.#deadline.set(this.#limits.bodyTimeoutMs);
    this.#end.write(NOTHING, () => {
      if (this.#phase === "lingering") this.#deadline.set(LINGER_MS);
    });
    this.#end.shutdown();
    this.#resumeEnd();
  }

  #resumeEnd(): void {
    if (!this.#paused || this.#phase === "closed") return;
    this.#paused = false;
    this.#end.resume();
  }
}

/** Whoever ends its side after such a request still waits for the answer. */
const SAYS_CLOSE = /\nconnection:[^\n]*\bclose\b/i;

function clientLeft(): ExchangeError {
  return new ExchangeError("reset", "the client left");
}

const HEAD_OVERDUE: Refusal = { status: 408, message: "the request's header took too long" };
const BODY_OVERDUE: Refusal = { status: 408, message: "the request's body took too long" };
const TRUNCATED: Refusal = { status: 400, message: "the request's body ended early" };
