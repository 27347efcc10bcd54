/** A small, bounded HTTP server for admin, metrics and readiness: requests without bodies. */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  readonly status: number;
  /** @default text/plain; charset=utf-8 */
  readonly contentType?: string;
  /** Chunks are written as the reader takes them. */
  readonly body: string | Uint8Array | AsyncIterable<string>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Query {
  readonly method: string;
  readonly path: string;
  readonly parameters: URLSearchParams;
  readonly acceptsGzip: boolean;
  /** The headers of these names, as they came. */
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  /**
   * The caller is in our own network namespace: on this machine, in this pod, by a port-forward.
   */
  readonly fromLoopback: boolean;
}

export type Handler = (query: Query) => Answer | Promise<Answer>;

export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

const LIMITS = {
  /** At the bound: 431. */
  maxHeaderSize: 16 * 1024,
  /** A request that is not whole by these is answered with 408. */
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
};
/** Further connections are closed at accept. */
const MAX_CONNECTIONS = 256;
/** A connection on which nothing moves for so long is closed: its reader stopped reading. */
const IDLE_TIMEOUT_MS = 30_000;
/** Nothing here takes a body. One of this size is read past; more is answered with 413. */
const BODY_MAX_BYTES = 64 * 1024;
const BODY_TOO_LARGE: Answer = {
  status: 413,
  headers: { connection: "close" },
  body: "requests here have no body\n",
};
const LOOPBACK = /^(::1|(::ffff:)?127\.[0-9.]+)$/;

export interface ListenAddress {
  /** @default every address, IPv6 and IPv4; IPv4 alone where the kernel has no IPv6 */
  readonly host?: string;
  /** 0 for any free port. */
  readonly port: number;
  /**
   * SO_REUSEPORT: a process and the one that replaces it listen side by side for a while.
   * @default false
   */
  readonly reusePort?: boolean;
}

/** Serves `handler` until closed. Rejects if the port cannot be had. */
export async function serveHttp(address: ListenAddress, handler: Handler): Promise<RunningServer> {
  const server = http.createServer(LIMITS, (request, response) => {
    passBody(request);
    void respond(response, request, handler);
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_TIMEOUT_MS);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...address }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(server),
  };
}

/** Undefined where the target is no path, or cannot be read as one. */
function parseQuery(request: IncomingMessage): Query | undefined {
  const { url: target = "/", headers } = request;
  const url = target.startsWith("/") ? URL.parse(`http://localhost${target}`) : null;
  if (url === null) return undefined;
  return {
    method: request.method ?? "GET",
    path: url.pathname,
    parameters: url.searchParams,
    fromLoopback: LOOPBACK.test(request.socket.remoteAddress ?? ""),
    acceptsGzip: /\bgzip\b/.test(String(headers["accept-encoding"] ?? "")),
    host: headers.host,
    origin: headers.origin,
  };
}

/** A body whose length was not said, and that does not end, ends its connection. */
function passBody(request: IncomingMessage): void {
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) request.destroy();
  });
}

async function respond(
  response: ServerResponse,
  request: IncomingMessage,
  handler: Handler,
): Promise<void> {
  try {
    const query = parseQuery(request);
    if (query === undefined) return await answer(response, { status: 400, body: "bad path\n" });
    if (Number(request.headers["content-length"] ?? 0) > BODY_MAX_BYTES) {
      return await answer(response, BODY_TOO_LARGE);
    }
    await answer(response, await handler(query));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (response.headersSent) response.destroy();
    else await answer(response, { status: 500, body: `${why}\n` });
  }
}

async function answer(response: ServerResponse, { status, ...rest }: Answer): Promise<void> {
  response.writeHead(status, {
    "content-type": rest.contentType ?? "text/plain; charset=utf-8",
    ...rest.headers,
  });
  const { body } = rest;
  if (typeof body === "string" || body instanceof Uint8Array) {
    response.end(body);
    return;
  }
  for await (const chunk of body) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

function close(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
