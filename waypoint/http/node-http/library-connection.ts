/** A connection to an upstream that a library speaks HTTP/1.1 on. */
import type { Duplex } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import type { CodecLimits, UpstreamConnection, UpstreamHandlers } from "../engine.ts";
import { type ClientExchange, type ClientExchangeEvents, ExchangeError } from "../exchange.ts";
import { Deadline, type Deadlined } from "../h1/deadlines.ts";
import { UnsentExchange } from "../h1/unsent-exchange.ts";
import { requestText } from "../h1/write-head.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { LibraryExchange } from "./library-exchange.ts";

/** Sends one request and tells its exchange what comes of it. */
export type Send = (exchange: LibraryExchange) => void;

export class LibraryConnection implements UpstreamConnection, Deadlined {
  readonly capacity = 1;
  readonly #duplex: Duplex;
  readonly #limits: CodecLimits;
  readonly #handlers: UpstreamHandlers;
  readonly #send: Send;
  readonly #deadline: Deadline;
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
    this.#deadline = new Deadline(this);
    this.#deadline.set(limits.idleTimeoutMs);
    duplex.on("error", () => this.destroy());
    duplex.once("close", () => {
      this.#closing = true;
      this.#deadline.close();
      // The library may still tell why, and sooner than this.
      setImmediate(() => this.#current?.fail("reset", "the upstream closed its connection"));
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

  request(head: RequestHead, length: BodyLength, events: ClientExchangeEvents): ClientExchange {
    if (this.#current !== undefined) {
      throw new MeshError("UPSTREAM_BUSY", "an HTTP/1.1 connection takes one request at a time", {
        hint: "ask the connection for `active` and `capacity` before",
      });
    }
    if (this.exhausted) return new UnsentExchange(CLOSING, events);
    if (head.upgrade !== undefined) return new UnsentExchange(NO_UPGRADE, events);
    if (requestText(head, length) === undefined) return new UnsentExchange(UNWRITABLE, events);
    this.#requests++;
    this.#deadline.clear();
    this.#duplex.off("data", this.#unsolicited);
    this.#duplex.off("end", this.#unsolicited);
    const outgoing = { head, length, events, headerCount: this.#limits.headerCount };
    const exchange = new LibraryExchange(outgoing, (clean) => this.#over(clean));
    this.#current = exchange;
    this.#send(exchange);
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

  onDeadline(): void {
    if (this.#current === undefined) this.destroy();
  }

  /** A connection on which a message was left half done is no use to anybody. */
  #over(clean: boolean): void {
    this.#current = undefined;
    if (!clean || this.exhausted) {
      this.destroy();
      return;
    }
    this.#deadline.set(this.#limits.idleTimeoutMs);
    this.#duplex.on("data", this.#unsolicited);
    this.#duplex.on("end", this.#unsolicited);
    this.#handlers.onIdle();
  }
}

const CLOSING = new ExchangeError("not-sent", "connection closing");
const NO_UPGRADE = new ExchangeError("protocol", "this engine is not used for upgrades");
const UNWRITABLE = new ExchangeError("protocol", "the request has what HTTP/1.1 cannot carry");
