/**
 * The engine on http-proxy. Its limits, which the correctness suite knows: no upgrades, no trailers
 * of requests, and a request that expects 100 (Continue) is continued by us.
 *
 * http-proxy forgets the upstream's socket when a client goes away before the answer: it waits for
 * an `aborted` event that today's Node does not send. We cut the request it made ourselves.
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
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { LibraryConnection } from "./library-connection.ts";
import type { LibraryExchange } from "./library-exchange.ts";
import { lengthOf, responseHeadOf, toNode, trailersOf } from "./node-head.ts";
import { serveNodeHttp } from "./node-server.ts";

export const httpProxyForwarder: Forwarder = {
  name: "http-proxy",
  serve: serveNodeHttp,
  connect: connectHttpProxy,
};

const exchanges = new WeakMap<object, LibraryExchange>();
const heads = new WeakMap<object, readonly [RequestHead, BodyLength]>();
let shared: httpProxy | undefined;

/** One for all connections: it keeps nothing but its listeners. */
function theProxy(): httpProxy {
  if (shared !== undefined) return shared;
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true });
  const failed = (error: Error, request: IncomingMessage): void =>
    exchanges.get(request)?.fail("reset", error.message);
  proxy.on("proxyReq", prepare);
  proxy.on("proxyRes", (response, request) => {
    const exchange = exchanges.get(request);
    if (exchange !== undefined) deliver(response, request.method ?? "", exchange);
  });
  proxy.on("error", failed);
  proxy.on("econnreset", failed);
  shared = proxy;
  return proxy;
}

function prepare(outgoing: ClientRequest, request: IncomingMessage): void {
  const known = heads.get(request);
  const exchange = exchanges.get(request);
  if (known === undefined || exchange === undefined) return;
  const [head, length] = known;
  exchange.abort = () => cut(outgoing);
  writeHead(outgoing, head, length);
  outgoing.on("information", ({ statusCode: status, rawHeaders }) => {
    exchange.informed({ status, headers: new HeaderList([...rawHeaders]) });
  });
}

function connectHttpProxy(
  wire: Wire,
  limits: CodecLimits,
  handlers: UpstreamHandlers,
): UpstreamConnection {
  const duplex = wire.asDuplex();
  const agent = agentOf(duplex);
  return new LibraryConnection(duplex, limits, handlers, (head, length, exchange) => {
    if (head.upgrade !== undefined) {
      setImmediate(() => exchange.fail("protocol", "http-proxy is not used for upgrades"));
      return;
    }
    send(head, length, { agent, duplex, exchange, headerBytes: limits.headerBytes });
  });
}

/** Gives the one connection, again and again while it lives. */
function agentOf(duplex: Duplex): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let given = false;
  agent.createConnection = () => {
    if (given) throw new Error("the upstream's connection is over");
    given = true;
    return duplex as ReturnType<http.Agent["createConnection"]>;
  };
  return agent;
}

interface Path {
  readonly agent: http.Agent;
  readonly duplex: Duplex;
  readonly exchange: LibraryExchange;
  readonly headerBytes: number;
}

/**
 * http-proxy takes node:http's own request and response: here is as much of both as it looks at.
 */
function send(head: RequestHead, length: BodyLength, { agent, duplex, exchange }: Path): void {
  const { method } = head;
  const headers: Record<string, string> = { host: head.authority };
  if (length.kind === "known") headers["content-length"] = String(length.bytes);
  else if (length.kind === "unknown") headers["transfer-encoding"] = "chunked";
  else if (method === "DELETE" || method === "OPTIONS") headers["content-length"] = "0";
  const incoming = { method, url: "/", headers, httpVersion: "1.1", socket: duplex };
  const request = Object.assign(exchange.body, incoming) as unknown as IncomingMessage;
  exchanges.set(request, exchange);
  heads.set(request, [head, length]);
  if (length.kind === "none") exchange.body.finish();
  if (head.headers.get("expect")?.toLowerCase() === "100-continue") {
    setImmediate(() => exchange.informed({ status: 100, headers: new HeaderList() }));
  }
  const response = { headersSent: false, finished: false } as unknown as ServerResponse;
  theProxy().web(request, response, { target: "http://upstream", agent });
}

/** What http-proxy made of the head is replaced by what we were given, to the byte. */
function writeHead(outgoing: ClientRequest, head: RequestHead, length: BodyLength): void {
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name);
  outgoing.path = head.path;
  outgoing.setHeader("host", head.authority);
  const flat = toNode(head.headers, length);
  for (let i = 0; i < flat.length; i += 2) {
    const [name = "", value = ""] = [flat[i], flat[i + 1]];
    if (name !== "expect") outgoing.appendHeader(name, value);
  }
  if (length.kind === "unknown") outgoing.setHeader("transfer-encoding", "chunked");
}

function deliver(response: IncomingMessage, method: string, exchange: LibraryExchange): void {
  const { statusCode = 0 } = response;
  const bodyless = statusCode === 204 || statusCode === 304;
  const length = lengthOf(response, bodyless);
  exchange.unpause = () => response.resume();
  exchange.responded(responseHeadOf(response), method === "HEAD" ? headLength(response) : length);
  response.on("data", (chunk: Buffer) => {
    if (!exchange.data(chunk)) response.pause();
  });
  response.once("end", () => exchange.complete(trailersOf(response)));
  response.once("close", () => {
    if (!response.complete) exchange.fail("reset", "the upstream ended in the middle");
  });
  response.on("error", (error) => exchange.fail("reset", error.message));
}

/** The answer to HEAD says how long a body would be. */
function headLength(response: IncomingMessage): BodyLength {
  const length = response.headers["content-length"];
  return length === undefined ? { kind: "none" } : { kind: "known", bytes: Number(length) };
}

function cut(outgoing: ClientRequest): void {
  outgoing.destroy();
  outgoing.socket?.destroy();
}
