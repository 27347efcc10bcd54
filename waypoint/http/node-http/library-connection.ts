/** A connection to an upstream that a library speaks HTTP/1.1 on. */
import type { Duplex } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import type { CodecLimits, UpstreamConnection, UpstreamHandlers } from "../engine.ts";
import type { ClientExchange, ClientExchangeEvents } from "../exchange.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { LibraryExchange } from "./library-exchange.ts";

/** Sends one request and tells its exchange what comes of it. */
export type Send = (head: RequestHead, length: BodyLength, exchange: LibraryExchange) => void;

export class LibraryConnection implements UpstreamConnection {
  readonly capacity = 1;
  readonly #duplex: Duplex;
  readonly #limits: CodecLimits;
  readonly #handlers: UpstreamHandlers;
  readonly #send: Send;
  #current: LibraryExchange | undefined;
  #requests = 0;
  #closing = false;
  /** What comes while nothing is asked for belongs to nobody: the next user must not get it. */
  readonly #unsolicited = (): void => this.destroy();

  constructor(duplex: Duplex, limits: CodecLimits, handlers: UpstreamHandlers, send: Send) {
    this.#duplex = duplex;
    this.#limits = limits;
    this.#handlers = handlers;
    this.#send = send;
    duplex.on("error", () => this.destroy());
    duplex.once("close", () => {
      this.#closing = true;
      this.#current?.fail("reset", "the upstream closed its connection");
      handlers.onClosed();
    });
  }

  get active(): number {
    return this.#current === undefined ? 0 : 1;
  }

  get exhausted(): boolean {
    const spent = this.#requests >= this.#limits.requestsPerConnection;
    return this.#closing || this.#duplex.destroyed || spent;
  }

  request(head: RequestHead, body: BodyLength, events: ClientExchangeEvents): ClientExchange {
    if (this.#current !== undefined) {
      throw new MeshError("CONNECTION_BUSY", "a request is under way on this connection");
    }
    this.#requests++;
    this.#duplex.off("data", this.#unsolicited);
    this.#duplex.off("end", this.#unsolicited);
    const exchange = new LibraryExchange(body, events, (clean) => this.#over(clean));
    this.#current = exchange;
    this.#send(head, body, exchange);
    return exchange;
  }

  close(): void {
    this.#closing = true;
    if (this.#current === undefined) this.destroy();
  }

  destroy(): void {
    this.#closing = true;
    this.#duplex.destroy();
  }

  /** A connection on which a message was left half done is no use to anybody. */
  #over(clean: boolean): void {
    this.#current = undefined;
    if (!clean || this.exhausted) {
      this.destroy();
      return;
    }
    this.#duplex.on("data", this.#unsolicited);
    this.#duplex.on("end", this.#unsolicited);
    this.#handlers.onIdle();
  }
}
