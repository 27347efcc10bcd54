/** One request to an upstream and its response. */
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import { INFORMATIONAL_RESPONSES } from "../limits.ts";
import type { BodyLength, ResponseHead } from "../message.ts";
import type { H2ClientConnection } from "./client-connection.ts";
import { H2Stream } from "./stream.ts";

export class H2ClientStream extends H2Stream implements ClientExchange {
  sent = true;
  readonly method: string;
  readonly #connection: H2ClientConnection;
  readonly #events: ClientExchangeEvents;
  #answered = false;
  #informed = 0;

  constructor(connection: H2ClientConnection, method: string, events: ClientExchangeEvents) {
    super(connection);
    this.method = method;
    this.#connection = connection;
    this.#events = events;
    this.takesBody = false;
    this.start(events);
  }

  /** Whether its head has come. */
  get hasHead(): boolean {
    return this.#answered;
  }

  cancel(): void {
    this.#connection.reset(this, "timeout", "cancelled by the waypoint");
  }

  onInformation(head: ResponseHead): void {
    if (++this.#informed <= INFORMATIONAL_RESPONSES) this.#events.onInformation(head);
    else this.#connection.reset(this, "limit", "too many 1xx responses");
  }

  onHead(head: ResponseHead, length: BodyLength): void {
    this.#answered = true;
    this.takesBody = true;
    this.#events.onHead(head, length);
  }

  override watch(): void {
    return;
  }

  protected override onOver(): void {
    if (this.error?.code === "not-sent") this.sent = false;
    if (this.error === undefined && !this.#answered) this.error = UNANSWERED;
    this.#connection.onExchangeOver(this);
  }
}

const UNANSWERED = new ExchangeError("reset", "the stream ended without a response");
