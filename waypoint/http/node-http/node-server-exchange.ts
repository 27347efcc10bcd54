/** One request that node:http has read, as an exchange. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { ExchangeError, type ServerExchange, type ServerExchangeEvents } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { toNode, trailersOf } from "./node-head.ts";

export interface NodeIncoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly duplex: Duplex;
  readonly head: RequestHead;
  readonly body: BodyLength;
  /** What came behind the head of an upgrade. */
  readonly rest: Uint8Array | undefined;
  readonly bodyTimeoutMs: number;
}

export class NodeServerExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly body: BodyLength;
  readonly #incoming: NodeIncoming;
  #events: ServerExchangeEvents | undefined;
  #ended = false;
  #tunnel = false;
  #closed = false;

  constructor(incoming: NodeIncoming) {
    this.request = incoming.head;
    this.body = incoming.body;
    this.#incoming = incoming;
  }

  start(events: ServerExchangeEvents): void {
    this.#events = events;
    const { request, response, duplex, bodyTimeoutMs } = this.#incoming;
    response.on("drain", () => events.onDrain());
    response.once("close", () => {
      if (!this.#tunnel) this.#close(response.writableFinished);
    });
    duplex.once("close", () => this.#close(this.#tunnel && this.#ended));
    if (this.body.kind === "none") {
      this.#ended = true;
      setImmediate(() => events.onEnd(undefined));
      return;
    }
    const timer = setTimeout(() => this.reset(), bodyTimeoutMs);
    request.on("data", (chunk: Buffer) => {
      timer.refresh();
      if (!events.onData(chunk)) request.pause();
    });
    request.once("close", () => clearTimeout(timer));
    request.once("end", () => {
      clearTimeout(timer);
      this.#ended = true;
      events.onEnd(trailersOf(request));
    });
  }

  resume(): void {
    if (this.#tunnel) this.#incoming.duplex.resume();
    else this.#incoming.request.resume();
  }

  inform({ status, headers }: ResponseHead): void {
    const { response } = this.#incoming;
    if (status === 100) response.writeContinue();
    else response.writeEarlyHints(Object.fromEntries(headers.entries()));
  }

  respond({ status, headers, upgrade }: ResponseHead, length: BodyLength): void {
    const { response } = this.#incoming;
    const flat = toNode(headers, length);
    if (status === 101) {
      this.#switch(flat, upgrade ?? this.request.upgrade ?? "");
      return;
    }
    const bodyless = length.kind === "none";
    const may = status !== 204 && status !== 304 && this.request.method !== "HEAD";
    if (bodyless && may) flat.push("content-length", "0");
    response.writeHead(status, flat);
    if (bodyless || this.request.method === "HEAD") response.end();
    else response.flushHeaders();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#tunnel) return this.#incoming.duplex.write(chunk);
    return this.#incoming.response.write(chunk);
  }

  end(trailers?: HeaderList): void {
    const { response, duplex } = this.#incoming;
    if (this.#tunnel) {
      duplex.end();
      return;
    }
    if (trailers !== undefined) response.addTrailers([...trailers.entries()] as [string, string][]);
    response.end();
  }

  reset(): void {
    this.#incoming.duplex.destroy();
  }

  #switch(flat: readonly string[], upgrade: string): void {
    const { duplex, rest } = this.#incoming;
    this.#tunnel = true;
    const lines = ["HTTP/1.1 101 Switching Protocols", "connection: Upgrade"];
    lines.push(`upgrade: ${upgrade}`);
    for (let i = 0; i < flat.length; i += 2) lines.push(`${flat[i]}: ${flat[i + 1]}`);
    duplex.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    if (rest !== undefined && rest.length > 0) duplex.unshift(rest);
    duplex.on("drain", () => this.#events?.onDrain());
    duplex.on("data", (chunk: Buffer) => {
      if (this.#events?.onData(chunk) === false) duplex.pause();
    });
    duplex.once("end", () => {
      this.#ended = true;
      this.#events?.onEnd(undefined);
    });
  }

  #close(complete: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    const error = complete ? undefined : new ExchangeError("reset", "the client is gone");
    this.#events?.onClosed(error);
  }
}
