/**
 * What requests by way of a library have in common: one at a time, told of its end once. Heads of
 * responses are judged as the engine llhttp judges them, as far as a library lets see them.
 */
import {
  type ClientExchange,
  type ClientExchangeEvents,
  ExchangeError,
  type ExchangeErrorCode,
} from "../exchange.ts";
import { trailerList } from "../h1/fields.ts";
import { judgeResponse, type ParsedResponse } from "../h1/response-head.ts";
import type { HeaderList } from "../header-list.ts";
import { INFORMATIONAL_RESPONSES } from "../limits.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { OutgoingBody } from "./outgoing-body.ts";

export interface OutgoingRequest {
  readonly head: RequestHead;
  readonly length: BodyLength;
  readonly events: ClientExchangeEvents;
  /** Of the response. */
  readonly headerCount: number;
}

export class LibraryExchange implements ClientExchange {
  readonly body: OutgoingBody;
  readonly request: RequestHead;
  readonly length: BodyLength;
  readonly #events: ClientExchangeEvents;
  readonly #headerCount: number;
  readonly #over: (clean: boolean) => void;
  #answered = false;
  #informed = 0;
  #headed = false;
  #keepAlive = false;
  #requestDone: boolean;
  #closed = false;
  /** Of a request of known length. */
  #missing: number;
  /** Stops what the library is doing; set by whoever drives it. */
  abort: () => void = NOTHING;
  unpause: () => void = NOTHING;

  /** `over` hears whether the connection may be used again. */
  constructor(
    { head, length, events, headerCount }: OutgoingRequest,
    over: (clean: boolean) => void,
  ) {
    this.request = head;
    this.length = length;
    this.#events = events;
    this.#headerCount = headerCount;
    this.#over = over;
    this.#requestDone = length.kind === "none";
    this.#missing = length.kind === "known" ? length.bytes : Number.POSITIVE_INFINITY;
    this.body = new OutgoingBody(() => {
      if (!this.#closed && !this.#requestDone) events.onDrain();
    });
  }

  /** Libraries do not say how much has left: anything may have. */
  get sent(): boolean {
    return true;
  }

  /** Of a head that came in part, they do not tell. */
  get answered(): true | undefined {
    return this.#answered || undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#requestDone) return true;
    if (chunk.length > this.#missing) {
      this.fail("protocol", "the request is longer than it said");
      return true;
    }
    this.#missing -= chunk.length;
    return this.body.give(chunk);
  }

  /** Neither library sends trailers of requests: a documented limit. */
  end(_trailers?: HeaderList): void {
    if (this.#closed || this.#requestDone) return;
    if (this.#missing > 0 && Number.isFinite(this.#missing)) {
      this.fail("protocol", "the request is shorter than it said");
      return;
    }
    this.#requestDone = true;
    this.body.finish();
  }

  resume(): void {
    if (!this.#closed) this.unpause();
  }

  cancel(): void {
    this.fail("reset", "cancelled");
  }

  /** A head has come; false where it ended the exchange. */
  answer(parsed: ParsedResponse): boolean {
    if (this.#closed) return false;
    this.#answered = true;
    const judged = judgeResponse(parsed, this.#headerCount, this.request);
    if ("code" in judged) this.fail(judged.code, judged.message);
    else if (judged.head.status === 101) this.fail("protocol", "101 without having been asked");
    else if (judged.head.status < 200) this.inform(judged.head);
    else {
      this.#headed = true;
      this.#keepAlive = judged.keepAlive;
      this.#events.onHead(judged.head, judged.length);
    }
    return !this.#closed;
  }

  inform(head: ResponseHead): void {
    if (this.#closed) return;
    if (++this.#informed > INFORMATIONAL_RESPONSES) this.fail("limit", "too many 1xx responses");
    else this.#events.onInformation(head);
  }

  data(chunk: Uint8Array): boolean {
    return this.#closed || this.#events.onData(chunk);
  }

  /** The response is complete; trailers are names and values as they came. */
  complete(trailers: readonly string[]): void {
    if (this.#closed) return;
    this.#events.onEnd(trailerList(trailers));
    if (!this.#closed) this.#close(undefined, this.#requestDone && this.#keepAlive);
  }

  fail(code: ExchangeErrorCode, message: string): void {
    if (this.#closed) return;
    this.#close(new ExchangeError(code, message), false);
    this.abort();
  }

  /** What a library says of a connection that failed it. */
  failed(error: Error & { readonly code?: string }): void {
    const { code = error.name, message } = error;
    if (TOO_LARGE.has(code)) this.fail("limit", "the response's header is too large");
    else if (NOT_HTTP.test(code) && !ENDED_EARLY.test(message)) this.fail("protocol", message);
    else if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH" && !this.#headed) {
      // So undici calls any fault of a head that says a length.
      this.fail("protocol", "the response's header is malformed");
    } else this.fail("reset", message);
  }

  #close(error: ExchangeError | undefined, clean: boolean): void {
    this.#closed = true;
    this.body.destroy();
    this.#over(clean);
    this.#events.onClosed(error);
  }
}

const TOO_LARGE = new Set(["HPE_HEADER_OVERFLOW", "UND_ERR_HEADERS_OVERFLOW"]);
/** Node's parser gives a code, undici's only its name. */
const NOT_HTTP = /^(HPE_|HTTPParserError$)/;
/** An early end of the connection is an error of llhttp, too. */
const ENDED_EARLY = /EOF/;

const NOTHING = (): void => undefined;
