/** A small, bounded HTTP server for admin, metrics and readiness: GET and POST without bodies. */
import http, { type ServerResponse } from "node:http";
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
  maxHeaderSize: 16 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
};
const MAX_CONNECTIONS = 256;
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
    const url = URL.parse(`http://localhost${request.url ?? "/"}`);
    request.resume();
    if (url === null) return void answer(response, { status: 400, body: "bad path\n" });
    const query: Query = {
      method: request.method ?? "GET",
      path: url.pathname,
      parameters: url.searchParams,
      fromLoopback: LOOPBACK.test(request.socket.remoteAddress ?? ""),
      acceptsGzip: /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? "")),
    };
    void respond(response, query, handler);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...address }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(server),
  };
}

async function respond(response: ServerResponse, query: Query, handler: Handler): Promise<void> {
  try {
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
