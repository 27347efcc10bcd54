/**
 * The engine on http-proxy. What it lacks, which the correctness suite is told and docs/engines.md
 * tells users: upgrades, and trailers of requests. Of responses it does not see how they were
 * written, only what Node's parser made of them (which refuses what two readers could read
 * differently); and no deadline stands on a response's header but the route's.
 *
 * http-proxy forgets the upstream's connection when a client goes away before the answer: it waits
 * for an `aborted` event that today's Node does not send. We cut the request it made ourselves.
 */
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import httpProxy from "http-proxy";
import type {
  CodecLimits,
  Forwarder,
  UpstreamConnection,
  UpstreamHandlers,
  Wire,
} from "../engine.ts";
import { sendableFields } from "../h1/write-head.ts";
import { LibraryConnection } from "./library-connection.ts";
import type { LibraryExchange } from "./library-exchange.ts";
import { flushHead } from "./node-messages.ts";
import { serveNodeHttp } from "./node-server.ts";

export function httpProxyForwarder(): Forwarder {
  return { name: "http-proxy", serve: serveNodeHttp, connect: connectHttpProxy };
}

const exchanges = new WeakMap<object, LibraryExchange>();
let shared: httpProxy | undefined;

/** One for all connections: it keeps nothing but its listeners. */
function theProxy(): httpProxy {
  if (shared !== undefined) return shared;
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true });
  const failed = (error: Error, request: IncomingMessage): void =>
    exchanges.get(request)?.failed(error);
  proxy.on("proxyReq", prepare);
  proxy.on("proxyRes", (response, request) => {
    const exchange = exchanges.get(request);
    if (exchange !== undefined) deliver(response, exchange);
  });
  proxy.on("error", failed);
  proxy.on("econnreset", failed);
  shared = proxy;
  return proxy;
}

function connectHttpProxy(
  wire: Wire,
  limits: CodecLimits,
  handlers: UpstreamHandlers,
): UpstreamConnection {
  const duplex = wire.asDuplex();
  const agent = new OneConnection(duplex, limits.headerBytes);
  return new LibraryConnection(duplex, limits, handlers, (exchange) => send(exchange, agent));
}

/** Gives the one connection, again and again while it lives. */
class OneConnection extends http.Agent {
  readonly duplex: Duplex;
  readonly #headerBytes: number;
  #given = false;

  constructor(duplex: Duplex, headerBytes: number) {
    super({ keepAlive: true, maxSockets: 1 });
    this.duplex = Object.assign(duplex, { ref: NOTHING });
    this.#headerBytes = headerBytes;
  }

  override createConnection(): Duplex {
    if (this.#given) throw new Error("the upstream's connection is over");
    this.#given = true;
    return this.duplex;
  }

  /** Where Node passes every request: http-proxy does not pass on the bound of its response. */
  addRequest(request: ClientRequest, ...rest: readonly unknown[]): void {
    Object.assign(request, { maxHeaderSize: this.#headerBytes });
    const base = http.Agent.prototype as unknown as { addRequest: (...all: unknown[]) => void };
    base.addRequest.call(this, request, ...rest);
  }

  /** It is for LibraryConnection to say; and what Node asks of sockets, a stream cannot do. */
  override keepSocketAlive(): boolean {
    return true;
  }
}

const NOTHING = (): void => undefined;

/**
 * http-proxy takes node:http's own request and response: here is as much of both as it looks at.
 */
function send(exchange: LibraryExchange, agent: OneConnection): void {
  const { method } = exchange.request;
  const incoming = { method, url: "/", headers: {}, httpVersion: "1.1", socket: agent.duplex };
  const request = Object.assign(exchange.body, incoming) as unknown as IncomingMessage;
  exchanges.set(request, exchange);
  if (exchange.length.kind === "none") exchange.body.finish();
  const response = { headersSent: false, finished: false } as unknown as ServerResponse;
  theProxy().web(request, response, { target: "http://upstream", agent });
}

function prepare(outgoing: ClientRequest, request: IncomingMessage): void {
  const exchange = exchanges.get(request);
  if (exchange === undefined || exchange.closed) {
    outgoing.destroy();
    return;
  }
  exchange.abort = () => void outgoing.destroy();
  writeHead(outgoing, exchange);
  outgoing.on("information", ({ statusCode: status, httpVersionMinor: minor, rawHeaders }) => {
    exchange.answer({ status, minor, fields: rawHeaders });
  });
}

/** What http-proxy made of the head is replaced by what we were given, to the byte. */
function writeHead(outgoing: ClientRequest, { request, length }: LibraryExchange): void {
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name);
  outgoing.path = request.path;
  outgoing.setHeader("host", request.authority);
  const fields = sendableFields(request.headers) ?? [];
  for (let i = 0; i < fields.length; i += 2) {
    outgoing.appendHeader(fields[i] ?? "", fields[i + 1] ?? "");
  }
  if (request.headers.has("te")) outgoing.setHeader("connection", "keep-alive, te");
  if (length.kind === "known") outgoing.setHeader("content-length", String(length.bytes));
  if (length.kind === "unknown") outgoing.setHeader("transfer-encoding", "chunked");
  // Its body may wait for what the upstream says to its head.
  if (length.kind !== "none") flushHead(outgoing);
}

function deliver(response: IncomingMessage, exchange: LibraryExchange): void {
  exchange.unpause = () => response.resume();
  response.on("error", (error) => exchange.failed(error));
  const { statusCode: status = 0, httpVersionMinor: minor, rawHeaders: fields } = response;
  if (!exchange.answer({ status, minor, fields })) return;
  response.on("data", (chunk: Buffer) => {
    if (!exchange.data(chunk)) response.pause();
  });
  response.once("end", () => exchange.complete(response.rawTrailers));
  response.once("close", () => {
    if (!response.complete) exchange.fail("reset", "the upstream ended in the middle");
  });
}
