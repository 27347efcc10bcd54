/**
 * The engine on undici. Its limits, which the correctness suite knows: no upgrades, no trailers of
 * requests, and a request that expects 100 (Continue) is continued by us.
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
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { LibraryConnection } from "./library-connection.ts";
import type { LibraryExchange } from "./library-exchange.ts";
import { endToEnd, toNode } from "./node-head.ts";
import { serveNodeHttp } from "./node-server.ts";

export const undiciForwarder: Forwarder = {
  name: "undici",
  serve: serveNodeHttp,
  connect: connectUndici,
};

function connectUndici(
  wire: Wire,
  limits: CodecLimits,
  handlers: UpstreamHandlers,
): UpstreamConnection {
  const duplex = wire.asDuplex();
  const client = clientOf(duplex, limits);
  return new LibraryConnection(duplex, limits, handlers, (head, length, exchange) => {
    if (head.upgrade !== undefined) {
      setImmediate(() => exchange.fail("protocol", "undici is not used for upgrades"));
      return;
    }
    send(client, head, length, exchange);
  });
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
  duplex.once("close", () => void client.destroy());
  return client;
}

function send(
  client: Client,
  head: RequestHead,
  length: BodyLength,
  exchange: LibraryExchange,
): void {
  const headers = toNode(head.headers, length);
  const expect = headers.indexOf("expect");
  if (expect >= 0) {
    headers.splice(expect, 2);
    setImmediate(() => exchange.informed({ status: 100, headers: new HeaderList() }));
  }
  headers.push("host", head.authority);
  const body = length.kind === "none" ? null : exchange.body;
  const options: Dispatcher.DispatchOptions = {
    method: head.method as Dispatcher.HttpMethod,
    path: head.path,
    headers,
    body,
  };
  client.dispatch(options, handlerOf(exchange, head.method));
}

function handlerOf(exchange: LibraryExchange, method: string): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      exchange.abort = () => controller.abort(new Error("cancelled"));
      exchange.unpause = () => controller.resume();
    },
    onResponseStart(controller, status) {
      const raw = (controller.rawHeaders ?? []) as readonly (Buffer | string)[];
      const flat = raw.map((text) => (typeof text === "string" ? text : text.toString("latin1")));
      const headers = endToEnd(flat);
      const length = contentLength(flat);
      if (status < 200) exchange.informed({ status, headers });
      else exchange.responded({ status, headers }, responseLength(status, method, length));
    },
    onResponseData(controller, chunk) {
      if (!exchange.data(chunk)) controller.pause();
    },
    onResponseEnd(_controller, trailers) {
      const entries = Object.entries(trailers ?? {});
      const flat = entries.flatMap(([name, value]) =>
        [value].flat().flatMap((v) => [name, v ?? ""]),
      );
      exchange.complete(flat.length === 0 ? undefined : new HeaderList(flat));
    },
    onResponseError(_controller, error) {
      exchange.fail("reset", error.message);
    },
  };
}

function contentLength(flat: readonly string[]): number | undefined {
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i]?.toLowerCase() === "content-length") return Number(flat[i + 1]);
  }
  return undefined;
}

function responseLength(status: number, method: string, length: number | undefined): BodyLength {
  if (status === 204 || status === 304) return { kind: "none" };
  if (length !== undefined && (length > 0 || method === "HEAD")) {
    return { kind: "known", bytes: length };
  }
  return method === "HEAD" || length === 0 ? { kind: "none" } : { kind: "unknown" };
}
