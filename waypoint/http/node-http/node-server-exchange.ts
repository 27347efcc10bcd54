/** One request that node:http has read, as an exchange. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  ExchangeError,
  type ExchangeErrorCode,
  type ServerExchange,
  type ServerExchangeEvents,
} from "../exchange.ts";
import { trailerList } from "../h1/fields.ts";
import type { IncomingRequest, Refusal } from "../h1/request-head.ts";
import { responseText, sendableFields } from "../h1/write-head.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { flushHead, trailerFields } from "./node-messages.ts";
import type { NodeServerConnection } from "./node-server.ts";

interface NodeIncoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly judged: IncomingRequest;
}

export class NodeServerExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly body: BodyLength;
  readonly #connection: NodeServerConnection;
  readonly #incoming: NodeIncoming;
  #events: ServerExchangeEvents | undefined;
  /** All of the request has come. */
  received: boolean;
  responded = false;
  /** The client takes no more for now. */
  blocked = false;
  /** Whoever takes the body takes no more for now. */
  #paused = false;
  #written = false;
  #closed = false;
  #error: ExchangeError | undefined;
  /** Of a response of known length. */
  #missing = Number.POSITIVE_INFINITY;

  constructor(connection: NodeServerConnection, incoming: NodeIncoming) {
    const { head, length, framing } = incoming.judged;
    const { upgrade: _, ...request } = head;
    this.request = request;
    this.body = length;
    this.received = framing.kind === "none";
    this.#connection = connection;
    this.#incoming = incoming;
    incoming.response.sendDate = false;
    incoming.response.on("drain", () => this.#drained());
  }

  /** Whether the client owes us something that a deadline stands on. */
  get waits(): boolean {
    return this.blocked || (this.#events !== undefined && !this.received && !this.#paused);
  }

  /** Whether a client that sends no more has left: it had not said that it would. */
  get abandoned(): boolean {
    return this.received && this.#incoming.judged.keepAlive;
  }

  start(events: ServerExchangeEvents): void {
    if (this.#events !== undefined) return;
    this.#events = events;
    if (this.#closed) {
      const error = this.#error;
      setImmediate(() => events.onClosed(error));
      return;
    }
    const { request } = this.#incoming;
    if (this.received) {
      request.resume();
      events.onEnd(undefined);
      return;
    }
    this.#connection.watch();
    request.on("data", (chunk: Buffer) => this.#data(chunk));
    request.once("end", () => this.#ended());
  }

  resume(): void {
    if (this.#closed) return;
    this.#paused = false;
    this.#connection.watch();
    this.#incoming.request.resume();
  }

  inform({ status, headers }: ResponseHead): void {
    if (this.#closed || this.responded || this.request.version === "1.0") return;
    if (status < 100 || status > 199 || status === 101) return;
    const { response } = this.#incoming;
    // It has to know: without 100 the connection ends with the response.
    if (status === 100) {
      response.writeContinue();
      return;
    }
    const head = { status, headers };
    const text = responseText(head, "none", { length: undefined, options: undefined });
    if (text !== undefined) this.#connection.duplex.write(text, "latin1");
  }

  respond({ status, headers }: ResponseHead, length: BodyLength): void {
    if (this.#closed || this.responded) return;
    const fields = sendableFields(headers);
    if (fields === undefined || status < 200 || status > 999) {
      this.#connection.fail(UNWRITABLE, "protocol");
      return;
    }
    this.responded = true;
    const { response } = this.#incoming;
    if (this.#connection.last || !this.#incoming.judged.keepAlive) response.shouldKeepAlive = false;
    const known = length.kind === "known" ? length.bytes : undefined;
    const bodyless = this.request.method === "HEAD" || status === 204 || status === 304;
    const none = bodyless || length.kind === "none";
    if (known !== undefined && status !== 204) fields.push("content-length", String(known));
    else if (none && !bodyless) fields.push("content-length", "0");
    response.once("finish", () => this.#finished());
    response.writeHead(status, fields);
    if (none) this.#end();
    else {
      if (known !== undefined) this.#missing = known;
      flushHead(response);
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || !this.responded || this.#written) return true;
    if (chunk.length > this.#missing) {
      this.#connection.cut(new ExchangeError("protocol", "the response is longer than it said"));
      return true;
    }
    this.#missing -= chunk.length;
    this.blocked = !this.#incoming.response.write(chunk);
    if (this.blocked) this.#connection.watch();
    return !this.blocked;
  }

  end(trailers?: HeaderList): void {
    if (this.#closed || !this.responded || this.#written) return;
    if (this.#missing > 0 && Number.isFinite(this.#missing)) {
      this.#connection.cut(new ExchangeError("protocol", "the response is shorter than it said"));
      return;
    }
    const { response } = this.#incoming;
    if (trailers !== undefined) response.addTrailers(trailerFields(trailers));
    this.#end();
  }

  reset(code: ExchangeErrorCode = "reset"): void {
    if (!this.#closed) this.#connection.cut(new ExchangeError(code, "reset by the waypoint"));
  }

  /** The connection ends with this response, if that can still be said. */
  announceLast(): void {
    if (!this.responded) this.#incoming.response.shouldKeepAlive = false;
  }

  closed(error: ExchangeError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#events?.onClosed(error);
  }

  #drained(): void {
    this.blocked = false;
    if (this.#closed) return;
    this.#connection.watch();
    if (!this.#written) this.#events?.onDrain();
  }

  #data(chunk: Buffer): void {
    if (this.#closed) return;
    if (this.#events?.onData(chunk) === false) {
      this.#paused = true;
      this.#incoming.request.pause();
    }
    this.#connection.watch();
  }

  #ended(): void {
    this.received = true;
    this.#connection.watch();
    if (!this.#closed) this.#events?.onEnd(trailerList(this.#incoming.request.rawTrailers));
    this.#connection.checkInputEnd();
  }

  #end(): void {
    this.#written = true;
    this.#incoming.response.end();
  }

  #finished(): void {
    this.#connection.completed(this, !this.#incoming.response.shouldKeepAlive);
  }
}

const UNWRITABLE: Refusal = {
  status: 500,
  message: "the response has what HTTP/1.1 cannot carry",
};
