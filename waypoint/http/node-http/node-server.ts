/** HTTP/1.1 towards a client on node:http: what the engines of libraries serve with. */
import http, { type IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { CodecLimits, ServerConnection, ServerHandlers, Wire } from "../engine.ts";
import { lengthOf, requestHeadOf } from "./node-head.ts";
import { NodeServerExchange } from "./node-server-exchange.ts";

export function serveNodeHttp(
  wire: Wire,
  limits: CodecLimits,
  handlers: ServerHandlers,
): ServerConnection {
  return new NodeServerConnection(wire.asDuplex(), limits, handlers);
}

class NodeServerConnection implements ServerConnection {
  readonly #duplex: Duplex;
  readonly #handlers: ServerHandlers;
  readonly #limits: CodecLimits;
  #requests = 0;
  #open = 0;
  #draining = false;
  #error: Error | undefined;

  constructor(duplex: Duplex, limits: CodecLimits, handlers: ServerHandlers) {
    this.#duplex = duplex;
    this.#handlers = handlers;
    this.#limits = limits;
    const server = http.createServer({
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      requestTimeout: 0,
      insecureHTTPParser: false,
    });
    server.maxHeadersCount = limits.headerCount;
    server.on("request", (request, response) => this.#take(request, response));
    server.on("checkContinue", (request, response) => this.#take(request, response));
    server.on("upgrade", (request, _socket, rest) => this.#upgrade(request, rest));
    server.on("clientError", (error) => this.#clientError(error));
    duplex.once("close", () => {
      server.close();
      handlers.onClosed(this.#error);
    });
    server.emit("connection", duplex);
  }

  drain(): void {
    this.#draining = true;
    if (this.#open === 0) this.#duplex.destroy();
  }

  destroy(): void {
    this.#duplex.destroy();
  }

  #take(request: IncomingMessage, response: ServerResponse, rest?: Uint8Array): void {
    const head = requestHeadOf(request);
    this.#requests++;
    const last = this.#draining || this.#requests >= this.#limits.requestsPerConnection;
    if (last) response.shouldKeepAlive = false;
    if (head === undefined) {
      response.writeHead(400, ["connection", "close"]).end("the target is not of this host\n");
      return;
    }
    this.#open++;
    response.once("close", () => {
      this.#open--;
      if (this.#draining && this.#open === 0) this.#duplex.end();
    });
    const body = lengthOf(request, request.headers["transfer-encoding"] === undefined);
    const { bodyTimeoutMs } = this.#limits;
    const duplex = this.#duplex;
    const incoming = { request, response, duplex, head, body, rest, bodyTimeoutMs };
    this.#handlers.onExchange(new NodeServerExchange(incoming));
  }

  /** A refusal is an ordinary response; what the client sent behind its request goes unread. */
  #upgrade(request: IncomingMessage, rest: Uint8Array): void {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    // ServerResponse writes to whatever stream it is given.
    response.assignSocket(this.#duplex as Parameters<ServerResponse["assignSocket"]>[0]);
    response.once("finish", () => {
      if (response.statusCode !== 101) this.#duplex.end();
    });
    this.#take(request, response, rest);
  }

  #clientError(error: Error & { code?: string }): void {
    this.#error = error;
    const status = STATUS_OF[error.code ?? ""] ?? "400 Bad Request";
    if (this.#duplex.writable && this.#open === 0) {
      this.#duplex.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    } else this.#duplex.destroy();
  }
}

const STATUS_OF: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
