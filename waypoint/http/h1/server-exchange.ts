/** One request of a client and our response to it. */
import {
  ExchangeError,
  type ExchangeErrorCode,
  type ServerExchange,
  type ServerExchangeEvents,
} from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { DISCARDED_REQUEST_BYTES } from "../limits.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import type { IncomingRequest, Refusal } from "./request-head.ts";
import type { H1ServerConnection } from "./server-connection.ts";
import { type OutgoingFraming, responseText } from "./write-head.ts";

/** How a response is written. */
interface Plan {
  readonly framing: OutgoingFraming;
  /** To be said in Content-Length. */
  readonly length: number | undefined;
  /** The connection ends with it. */
  readonly last: boolean;
}

export class H1ServerExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly body: BodyLength;
  readonly #incoming: IncomingRequest;
  readonly #connection: H1ServerConnection;
  #events: ServerExchangeEvents | undefined;
  #responded = false;
  #continued = false;
  #last = false;
  #raw = false;
  /** All of the response has been written, or of the raw bytes. */
  #written = false;
  /** All of the request has come, or of the raw bytes. */
  #received: boolean;
  #started = false;
  #closed = false;
  #error: ExchangeError | undefined;

  constructor(connection: H1ServerConnection, incoming: IncomingRequest) {
    this.#connection = connection;
    this.#incoming = incoming;
    this.request = incoming.head;
    this.body = incoming.length;
    this.#received = incoming.framing.kind === "none";
  }

  /** Whether the response has begun. */
  get responded(): boolean {
    return this.#responded;
  }

  /** Nothing more is owed to either side. */
  get over(): boolean {
    return this.#written && this.#received;
  }

  /**
   * Whether a client that sends no more has left: whoever wanted the answer would have kept its
   * side open, as it said, or have said close. Tunnels may be half-closed.
   */
  get abandoned(): boolean {
    return !this.#raw && this.#received && this.#incoming.keepAlive;
  }

  start(events: ServerExchangeEvents): void {
    if (this.#started) return;
    this.#started = true;
    this.#events = events;
    if (this.#closed) {
      const error = this.#error;
      setImmediate(() => events.onClosed(error));
      return;
    }
    if (this.#raw) {
      this.#connection.advance();
      return;
    }
    if (this.#received) {
      // What follows an upgrade is known when it has been answered.
      if (this.request.upgrade === undefined) events.onEnd(undefined);
      return;
    }
    this.#connection.reader.expectBody(this.#incoming.framing);
    this.#connection.watch();
    this.#connection.advance();
    if (this.#connection.inputEnded) this.inputEnded();
  }

  resume(): void {
    if (this.#closed) return;
    this.#connection.reader.unblock();
    this.#connection.watch();
    this.#connection.advance();
  }

  inform({ status, headers }: ResponseHead): void {
    if (this.#closed || this.#responded || this.request.version === "1.0") return;
    if (status < 100 || status > 199 || status === 101) return;
    const head = { status, headers };
    const text = responseText(head, "none", { length: undefined, options: undefined });
    if (text === undefined) return;
    this.#continued ||= status === 100;
    this.#connection.output.inform(text);
  }

  respond(head: ResponseHead, length: BodyLength): void {
    if (this.#closed || this.#responded) return;
    const plan = this.#plan(head, length);
    const text = responseText(head, plan.framing, {
      length: plan.length,
      options: this.#connectionOptions(plan),
    });
    if (text === undefined || (head.status === 101 && this.request.upgrade === undefined)) {
      this.#connection.fail(UNWRITABLE, "protocol");
      return;
    }
    this.#responded = true;
    this.#last = plan.last;
    const { output } = this.#connection;
    output.begin(text, plan.framing, plan.length ?? 0);
    if (head.status === 101) this.#switch();
    else this.#refuseUpgrade();
    if (plan.framing === "none") this.#finish(undefined);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || !this.#responded || this.#written) return true;
    const { output } = this.#connection;
    if (!output.fits(chunk.length)) {
      this.#connection.cut(new ExchangeError("protocol", "the response is longer than it said"));
      return true;
    }
    const more = output.write(chunk);
    if (!more) this.#connection.watch();
    return more;
  }

  end(trailers?: HeaderList): void {
    if (this.#closed || !this.#responded || this.#written) return;
    if (this.#raw) this.#endRaw();
    else if (this.#connection.output.complete) this.#finish(trailers);
    else {
      this.#connection.cut(new ExchangeError("protocol", "the response is shorter than it said"));
    }
  }

  reset(code: ExchangeErrorCode = "reset"): void {
    if (!this.#closed) this.#connection.cut(new ExchangeError(code, "reset by the waypoint"));
  }

  data(chunk: Buffer): boolean {
    return this.#events?.onData(chunk) ?? false;
  }

  bodyEnded(trailers: HeaderList | undefined): void {
    this.#received = true;
    this.#events?.onEnd(trailers);
  }

  drained(): void {
    if (!this.#written) this.#events?.onDrain();
  }

  /** The client sends no more. */
  inputEnded(): void {
    if (!this.#raw || !this.#started || this.#connection.reader.hasHeld) return;
    if (this.#received) return;
    this.#received = true;
    this.#events?.onEnd(undefined);
  }

  closed(error: ExchangeError | undefined): void {
    this.#closed = true;
    this.#error = error;
    this.#events?.onClosed(error);
  }

  #plan(head: ResponseHead, length: BodyLength): Plan {
    const last = !this.#incoming.keepAlive || this.#connection.last || this.#bodyIsUncertain();
    const { status } = head;
    if (status === 101) return { framing: "raw", length: undefined, last: true };
    const known = length.kind === "known" ? length.bytes : undefined;
    if (status === 204) return { framing: "none", length: undefined, last };
    if (this.request.method === "HEAD" || status === 304) {
      return { framing: "none", length: known, last };
    }
    if (length.kind === "none") return { framing: "none", length: 0, last };
    if (known !== undefined) return { framing: "length", length: known, last };
    if (this.request.version === "1.0") {
      return { framing: "until-close", length: undefined, last: true };
    }
    return { framing: "chunked", length: undefined, last };
  }

  /** A client that waits for 100 may send the body now or never: nobody knows what comes next. */
  #bodyIsUncertain(): boolean {
    return this.#incoming.expectsContinue && !this.#continued && !this.#received;
  }

  #connectionOptions({ last }: Plan): string | undefined {
    if (last) return "close";
    return this.request.version === "1.0" ? "keep-alive" : undefined;
  }

  #switch(): void {
    this.#raw = true;
    this.#received = false;
    this.#connection.reader.expectBody({ kind: "until-close" });
    if (!this.#started) return;
    this.#connection.advance();
    if (this.#connection.inputEnded) this.inputEnded();
  }

  #refuseUpgrade(): void {
    if (this.request.upgrade !== undefined) this.#events?.onEnd(undefined);
  }

  #finish(trailers: HeaderList | undefined): void {
    if (this.#closed) return;
    this.#written = true;
    const { output, reader } = this.#connection;
    output.finish(trailers);
    // What was never asked for is still to come.
    if (!this.#received && !this.#started) reader.expectBody(this.#incoming.framing);
    this.#connection.completed(this, this.#last, this.#discardable());
  }

  #discardable(): boolean {
    const { framing } = this.#incoming;
    return framing.kind !== "length" || framing.bytes <= DISCARDED_REQUEST_BYTES;
  }

  #endRaw(): void {
    this.#written = true;
    this.#connection.output.flush();
    this.#connection.shutdown();
  }
}

const UNWRITABLE: Refusal = {
  status: 500,
  message: "the response has what HTTP/1.1 cannot carry",
};
