/** What requests by way of a library have in common: one at a time, told of its end once. */
import {
  type ClientExchange,
  type ClientExchangeEvents,
  ExchangeError,
  type ExchangeErrorCode,
} from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, ResponseHead } from "../message.ts";
import { OutgoingBody } from "./outgoing-body.ts";

export class LibraryExchange implements ClientExchange {
  readonly body: OutgoingBody;
  readonly #events: ClientExchangeEvents;
  readonly #over: (clean: boolean) => void;
  #answered = false;
  #requestDone: boolean;
  #closed = false;
  /** Stops what the library is doing; set by whoever drives it. */
  abort: () => void = NOTHING;
  unpause: () => void = NOTHING;

  /** `over` hears whether the connection may be used again. */
  constructor(length: BodyLength, events: ClientExchangeEvents, over: (clean: boolean) => void) {
    this.#events = events;
    this.#over = over;
    this.#requestDone = length.kind === "none";
    this.body = new OutgoingBody(() => events.onDrain());
  }

  /** Libraries do not say how much has left: anything may have. */
  get sent(): boolean {
    return true;
  }

  write(chunk: Uint8Array): boolean {
    return !this.#closed && this.body.give(chunk);
  }

  /** Neither library sends trailers of requests: a documented limit. */
  end(_trailers?: HeaderList): void {
    this.#requestDone = true;
    this.body.finish();
  }

  resume(): void {
    this.unpause();
  }

  cancel(): void {
    this.fail("timeout", "cancelled by the waypoint");
  }

  informed(head: ResponseHead): void {
    if (!this.#closed) this.#events.onInformation(head);
  }

  responded(head: ResponseHead, length: BodyLength): void {
    if (this.#closed) return;
    this.#answered = true;
    this.#events.onHead(head, length);
  }

  data(chunk: Uint8Array): boolean {
    return this.#closed || this.#events.onData(chunk);
  }

  complete(trailers: HeaderList | undefined): void {
    if (this.#closed) return;
    this.#events.onEnd(trailers);
    this.#close(undefined, this.#requestDone);
  }

  fail(code: ExchangeErrorCode, message: string): void {
    if (this.#closed) return;
    this.#close(new ExchangeError(code, message), false);
    this.abort();
  }

  get answered(): boolean {
    return this.#answered;
  }

  #close(error: ExchangeError | undefined, clean: boolean): void {
    this.#closed = true;
    this.body.destroy();
    this.#over(clean);
    this.#events.onClosed(error);
  }
}

const NOTHING = (): void => undefined;
