/** One try: a request on a leased connection, until its response is whole or it failed. */
import { describeError } from "#common/runtime/errors.ts";
import type { LocalReply } from "../filter/stage.ts";
import type { ClientExchange, ClientExchangeEvents, ExchangeError } from "../http/exchange.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../http/message.ts";
import type { AttemptOutcome, Endpoint, Lease } from "../upstream/upstream.ts";
import { httpStatusOf } from "./grpc-status.ts";
import { DISCARDED_RESPONSE_BYTES } from "./limits.ts";
import type { BodySink } from "./request-body.ts";
import type { TryFailure } from "./retry-policy.ts";
import { replyFor, resetReply } from "./upstream-replies.ts";

export interface AttemptEvents {
  onInformation(head: ResponseHead): void;
  onHead(head: ResponseHead, length: BodyLength): void;
  onData(chunk: Uint8Array): boolean;
  onEnd(trailers: HeaderList | undefined): void;
  /** The upstream takes more of the request. */
  onDrain(): void;
  /** It ended early: before the head, or after it. Nothing follows. */
  onFailed(failure: TryFailure, reply: LocalReply): void;
}

export class Attempt implements BodySink {
  readonly endpoint: Endpoint;
  /** Whether the connection had carried requests before. */
  readonly reused: boolean;
  /** From sending the request to the head of the response; undefined before. */
  upstreamMs: number | undefined;
  readonly #lease: Lease;
  readonly #now: () => number;
  readonly #events: AttemptEvents;
  readonly #beganAt: number;
  #exchange: ClientExchange | undefined;
  /** What counts for the endpoint's health; 0 before there is a response. */
  #status = 0;
  #responseEnded = false;
  #over = false;
  #discarding = false;

  constructor(lease: Lease, now: () => number, events: AttemptEvents) {
    this.#lease = lease;
    this.#now = now;
    this.#events = events;
    this.#beganAt = now();
    this.endpoint = lease.endpoint;
    this.reused = lease.reused;
  }

  /** Whether more of the response is to come. */
  get unanswered(): boolean {
    return !this.#responseEnded && !this.#over;
  }

  /** Sends the head. False: it failed, as `onFailed` has been told. */
  begin(head: RequestHead, body: BodyLength): boolean {
    try {
      this.#exchange = this.#lease.connection.request(head, body, this.#exchangeEvents());
      return true;
    } catch (error) {
      this.#finish({ kind: "unused" });
      this.#events.onFailed("not-sent", resetReply(describeError(error)));
      return false;
    }
  }

  #exchangeEvents(): ClientExchangeEvents {
    const events = this.#events;
    return {
      onInformation: (information) => {
        if (!this.#over) events.onInformation(information);
      },
      onHead: (response, length) => this.#onHead(response, length),
      onData: (chunk) => this.#discarding || (!this.#over && events.onData(chunk)),
      onEnd: (trailers) => this.#onEnd(trailers),
      onDrain: () => {
        if (!this.#over) events.onDrain();
      },
      onClosed: (error) => this.#onClosed(error),
    };
  }

  write(chunk: Uint8Array): boolean {
    return this.#over || (this.#exchange?.write(chunk) ?? false);
  }

  end(trailers?: HeaderList): void {
    if (!this.#over) this.#exchange?.end(trailers);
  }

  /** The client takes more of the response. */
  resume(): void {
    this.#exchange?.resume();
  }

  /** Nothing more of it is wanted. `timedOut`: for which the endpoint is to blame. */
  cancel(timedOut = false): void {
    if (this.#over) return;
    this.#finish(timedOut ? this.#failedOutcome() : this.#answeredOutcome());
    this.#exchange?.cancel();
  }

  /** The response is not wanted, but the connection may be used further. */
  discard(length: BodyLength): void {
    const short = length.kind === "known" && length.bytes <= DISCARDED_RESPONSE_BYTES;
    if (length.kind !== "none" && !short) {
      this.cancel();
      return;
    }
    this.#discarding = true;
    this.#exchange?.resume();
  }

  #onHead(head: ResponseHead, length: BodyLength): void {
    if (this.#over) return;
    const grpcStatus = head.headers.get("grpc-status");
    this.#status = grpcStatus === undefined ? head.status : httpStatusOf(grpcStatus);
    this.upstreamMs = this.#now() - this.#beganAt;
    this.#events.onHead(head, length);
  }

  #onEnd(trailers: HeaderList | undefined): void {
    this.#responseEnded = true;
    if (!this.#over && !this.#discarding) this.#events.onEnd(trailers);
  }

  #onClosed(error: ExchangeError | undefined): void {
    if (this.#over) return;
    if (this.#responseEnded) {
      this.#finish(this.#answeredOutcome());
      return;
    }
    this.#finish(this.#failedOutcome());
    if (this.#discarding) return;
    const unseen = error?.code === "not-sent" || this.#exchange?.sent === false;
    this.#events.onFailed(unseen ? "not-sent" : "reset", replyFor(error));
  }

  #finish(outcome: AttemptOutcome): void {
    this.#over = true;
    this.#lease.finished(outcome);
  }

  #answeredOutcome(): AttemptOutcome {
    if (this.#status === 0) return { kind: "unused" };
    return { kind: "response", status: this.#status, milliseconds: this.upstreamMs ?? 0 };
  }

  #failedOutcome(): AttemptOutcome {
    return { kind: "local-failure", milliseconds: this.#now() - this.#beganAt };
  }
}
