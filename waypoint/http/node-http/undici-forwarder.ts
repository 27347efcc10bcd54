/**
 * The engine on undici. What it lacks, which the correctness suite is told and docs/engines.md
 * tells users: upgrades, trailers of requests, `Expect: 100-continue` (such a request is continued
 * by us, before its upstream has said anything), `OPTIONS *`, heads of requests that leave before
 * the first piece of their body, and upstreams' connections that go on after an answer to HEAD or
 * a 304 with a length. Of responses it does not see how they were written, nor whether they are
 * HTTP/1.0; and no deadline stands on a response's header but the route's.
 */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Client, type Dispatcher } from "undici";
import type {
  CodecLimits,
  Forwarder,
  UpstreamConnection,
  UpstreamHandlers,
  Wire,
} from "../engine.ts";
import { sendableFields } from "../h1/write-head.ts";
import { HeaderList } from "../header-list.ts";
import { LibraryConnection } from "./library-connection.ts";
import type { LibraryExchange } from "./library-exchange.ts";
import { serveNodeHttp } from "./node-server.ts";

export function undiciForwarder(): Forwarder {
  return { name: "undici", serve: serveNodeHttp, connect: connectUndici };
}

function connectUndici(
  wire: Wire,
  limits: CodecLimits,
  handlers: UpstreamHandlers,
): UpstreamConnection {
  const duplex = wire.asDuplex();
  const client = clientOf(duplex, limits);
  return new LibraryConnection(duplex, limits, handlers, (exchange) => send(client, exchange));
}

function clientOf(duplex: Duplex, limits: CodecLimits): Client {
  let given = false;
  const client = new Client("http://upstream", {
    pipelining: 1,
    maxHeaderSize: limits.headerBytes,
    // The waypoint has deadlines of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: limits.idleTimeoutMs,
    keepAliveMaxTimeout: limits.idleTimeoutMs,
    connect: (_options, done) => {
      if (given) return done(new Error("the upstream's connection is over"), null);
      given = true;
      // A stream is all that undici needs of a socket, but later: it is still in its own loop.
      queueMicrotask(() => done(null, duplex as Socket));
    },
  });
  // After it has told the request why.
  duplex.once("close", () => setImmediate(() => void client.destroy()));
  return client;
}

function send(client: Client, exchange: LibraryExchange): void {
  const { request, length } = exchange;
  const headers = ["host", request.authority];
  const fields = sendableFields(request.headers) ?? [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "expect") headers.push(fields[i] ?? "", fields[i + 1] ?? "");
  }
  if (length.kind === "known") headers.push("content-length", String(length.bytes));
  if (length.kind !== "none" && request.headers.get("expect")?.toLowerCase() === "100-continue") {
    setImmediate(() => exchange.inform({ status: 100, headers: new HeaderList() }));
  }
  const options: Dispatcher.DispatchOptions = {
    method: request.method as Dispatcher.HttpMethod,
    path: request.path,
    headers,
    body: length.kind === "none" ? null : exchange.body,
  };
  client.dispatch(options, handlerOf(exchange));
}

/** Of what undici gives it as, bytes or text. */
function flatText(raw: readonly (Buffer | string)[]): string[] {
  return raw.map((text) => (typeof text === "string" ? text : text.toString("latin1")));
}

function handlerOf(exchange: LibraryExchange): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      exchange.abort = () => controller.abort(new Error("cancelled"));
      exchange.unpause = () => controller.resume();
      if (exchange.closed) exchange.abort();
    },
    onResponseStart(controller, status) {
      const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[];
      exchange.answer({ status, minor: 1, fields: flatText(raw) });
    },
    onResponseData(controller, chunk) {
      if (!exchange.data(chunk)) controller.pause();
    },
    onResponseEnd(controller) {
      const raw = (controller.rawTrailers ?? []) as readonly (Buffer | string)[];
      exchange.complete(flatText(raw));
    },
    onResponseError(_controller, error) {
      exchange.failed(error);
    },
  };
}
