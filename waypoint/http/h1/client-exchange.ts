/** One request to an upstream and its response. */
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { INFORMATIONAL_RESPONSES } from "../limits.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import type { H1ClientConnection } from "./client-connection.ts";
import type { IncomingResponse } from "./response-head.ts";
import type { OutgoingFraming } from "./write-head.ts";

interface OutgoingRequest {
  readonly head: RequestHead;
  readonly body: BodyLength;
  readonly events: ClientExchangeEvents;
}

export class H1ClientExchange implements ClientExchange {
  /** From the moment that its bytes are the connection's, nobody knows whether they left. */
  sent = true;
  answered = false;
  readonly request: RequestHead;
  readonly #connection: H1ClientConnection;
  readonly #body: BodyLength;
  readonly #events: ClientExchangeEvents;
  #informed = 0;
  #keepAlive = false;
  #raw = false;
  /** All of the request has been written, or of the raw bytes. */
  #written: boolean;
  /** All of the response has come, or of the raw bytes. */
  #received = false;
  #closed = false;

  constructor(connection: H1ClientConnection, { head, body, events }: OutgoingRequest) {
    this.#connection = connection;
    this.request = head;
    this.#body = body;
    this.#events = events;
    this.#written = isEmpty(body);
  }

  /** Nothing more is owed to either side. */
  get over(): boolean {
    return this.#written && this.#received;
  }

  send(head: string): void {
    const framing = this.#written ? "none" : FRAMINGS[this.#body.kind];
    const length = this.#body.kind === "known" ? this.#body.bytes : 0;
    this.#connection.output.begin(head, framing, length);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#written) return true;
    const { output } = this.#connection;
    if (output.fits(chunk.length)) return output.write(chunk);
    this.#connection.cut(new ExchangeError("protocol", "the request is longer than it said"));
    return true;
  }

  end(trailers?: HeaderList): void {
    if (this.#closed || this.#written) return;
    const { output } = this.#connection;
    if (!output.complete) {
      this.#connection.cut(new ExchangeError("protocol", "the request is shorter than it said"));
      return;
    }
    this.#written = true;
    output.finish(trailers);
    if (this.#raw) this.#connection.shutdown();
  }

  resume(): void {
    if (this.#closed) return;
    this.#connection.reader.unblock();
    this.#connection.advance();
  }

  cancel(): void {
    if (!this.#closed) this.#connection.cut(new ExchangeError("reset", "cancelled"));
  }

  response(response: IncomingResponse): void {
    const { head, framing } = response;
    if (head.status < 200 && head.status !== 101) {
      this.#inform(response);
      return;
    }
    this.#keepAlive = response.keepAlive;
    this.#connection.reader.expectBody(framing);
    if (head.status === 101) this.#switch();
    this.#events.onHead(head, response.length);
    if (framing.kind === "none") this.bodyEnded(undefined);
  }

  data(chunk: Buffer): boolean {
    return this.#events.onData(chunk);
  }

  bodyEnded(trailers: HeaderList | undefined): void {
    if (this.#closed) return;
    this.#received = true;
    this.#events.onEnd(trailers);
    // An upstream that has answered needs no more of the request: it may not even read it.
    if (this.#closed) return;
    this.#connection.completed(this, { written: this.#written, keepAlive: this.#keepAlive });
  }

  drained(): void {
    if (!this.#written) this.#events.onDrain();
  }

  /** The upstream sends no more, and that is where the body, or its raw direction, ends. */
  inputEnded(): void {
    if (this.#received || this.#closed) return;
    if (!this.#raw) {
      this.bodyEnded(undefined);
      return;
    }
    this.#received = true;
    this.#events.onEnd(undefined);
  }

  closed(error: ExchangeError | undefined): void {
    this.#closed = true;
    this.#events.onClosed(error);
  }

  #inform({ head }: IncomingResponse): void {
    if (++this.#informed > INFORMATIONAL_RESPONSES) {
      this.#connection.cut(new ExchangeError("limit", "too many 1xx responses"));
      return;
    }
    this.#connection.reader.expectHead();
    this.#events.onInformation(head);
  }

  /** Both directions are bytes of another protocol now. */
  #switch(): void {
    this.#raw = true;
    this.#written = false;
    this.#connection.output.begin("", "raw", 0);
  }
}

function isEmpty(body: BodyLength): boolean {
  return body.kind === "none" || (body.kind === "known" && body.bytes === 0);
}

const FRAMINGS: Readonly<Record<BodyLength["kind"], OutgoingFraming>> = {
  none: "none",
  known: "length",
  unknown: "chunked",
};
