import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { CodecLimits, UpstreamConnection, Wire } from "../engine.ts";
import type { ClientExchangeEvents, ExchangeError, ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../message.ts";
import { wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

const LIMITS: CodecLimits = {
  headerBytes: 16_384,
  headerCount: 50,
  headersTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  requestsPerConnection: 1_000,
  pipelinedRequests: 10,
  concurrentStreams: 100,
};

/** What the client's end saw of one exchange. */
interface Seen {
  head?: ResponseHead;
  length?: BodyLength;
  body: string;
  bytes: number;
  trailers?: HeaderList | undefined;
  informed: number[];
  error?: ExchangeError | undefined;
}

let server: net.Server;
let port: number;
let upstream: UpstreamConnection;
let onExchange: (exchange: ServerExchange) => void;
const sockets = new Set<net.Socket>();

function keptWire(socket: net.Socket): Wire {
  sockets.add(socket);
  return wireOf(socket);
}

function head(overrides: Partial<RequestHead> = {}): RequestHead {
  const headers = new HeaderList(["te", "trailers"]);
  const base = { version: "2", method: "POST", scheme: "http", authority: "api:80" } as const;
  return { ...base, path: "/a?b", headers, ...overrides };
}

function exchange(
  request: RequestHead,
  body: BodyLength,
  use: (client: ReturnType<UpstreamConnection["request"]>) => void = () => undefined,
): Promise<Seen> {
  return new Promise((resolve) => {
    const seen: Seen = { body: "", bytes: 0, informed: [] };
    const events: ClientExchangeEvents = {
      onInformation: ({ status }) => seen.informed.push(status),
      onHead: (given, length) => Object.assign(seen, { head: given, length }),
      onData: (chunk) => {
        seen.bytes += chunk.length;
        if (seen.bytes < 10_000) seen.body += Buffer.from(chunk).toString();
        return true;
      },
      onEnd: (trailers) => {
        seen.trailers = trailers;
      },
      onDrain: () => undefined,
      onClosed: (error) => resolve(Object.assign(seen, { error })),
    };
    use(upstream.request(request, body, events));
  });
}

const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };
const quiet = {
  onData: () => true,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClosed: () => undefined,
};

beforeEach(async () => {
  onExchange = (served) => served.respond({ status: 200, headers: new HeaderList() }, NONE);
  server = net.createServer((socket) => {
    const handlers = {
      onExchange: (e: ServerExchange) => onExchange(e),
      onClosed: () => undefined,
    };
    http2Codec.serve(keptWire(socket), LIMITS, handlers);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as net.AddressInfo);
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  const handlers = { onIdle: () => undefined, onClosed: () => undefined };
  upstream = http2Codec.connect(keptWire(socket), LIMITS, handlers);
});

afterEach(async () => {
  upstream.destroy();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server.close();
  await once(server, "close");
});

describe("an exchange over HTTP/2", () => {
  test("carries both heads, bodies and trailers", async () => {
    let request: RequestHead | undefined;
    let trailers: HeaderList | undefined;
    onExchange = (served) => {
      ({ request } = served);
      served.respond({ status: 201, headers: new HeaderList(["x-a", "1", "x-a", "2"]) }, UNKNOWN);
      served.start({
        ...quiet,
        onData: (chunk) => served.write(chunk),
        onEnd: (given) => {
          trailers = given;
          served.end(new HeaderList(["grpc-status", "0", "x-t", "1", "x-t", "2"]));
        },
      });
    };
    const headers = new HeaderList(["te", "trailers", "cookie", "a=1", "x-b", "ü"]);
    const seen = await exchange(head({ headers }), UNKNOWN, (client) => {
      client.write(Buffer.from("hello "));
      client.write(Buffer.from("world"));
      client.end(new HeaderList(["x-sum", "11"]));
    });
    assert.equal(request?.method, "POST");
    assert.equal(request?.path, "/a?b");
    assert.equal(request?.authority, "api:80");
    assert.equal(request?.headers.get("cookie"), "a=1");
    assert.equal(trailers?.get("x-sum"), "11");
    assert.equal(seen.head?.status, 201);
    assert.deepEqual(seen.head?.headers.getAll("x-a"), ["1", "2"]);
    assert.equal(seen.body, "hello world");
    assert.equal(seen.trailers?.get("grpc-status"), "0");
    assert.deepEqual(seen.trailers?.getAll("x-t"), ["1", "2"]);
    assert.deepEqual([seen.error, upstream.active], [undefined, 0]);
  });

  test("carries an answer without a body, with a known length, and to HEAD", async () => {
    const empty = await exchange(head({ method: "GET" }), NONE);
    assert.deepEqual([empty.head?.status, empty.length, empty.error], [200, NONE, undefined]);
    onExchange = (served) => {
      served.respond({ status: 200, headers: new HeaderList() }, { kind: "known", bytes: 3 });
      if (served.request.method === "HEAD") return;
      served.write(Buffer.from("abc"));
      served.end();
    };
    const known = await exchange(head({ method: "GET" }), NONE);
    assert.deepEqual([known.body, known.length], ["abc", { kind: "known", bytes: 3 }]);
    const headOnly = await exchange(head({ method: "HEAD" }), NONE);
    assert.deepEqual([headOnly.body, headOnly.error], ["", undefined]);
  });

  test("passes informational responses on", async () => {
    onExchange = (served) => {
      served.inform({ status: 103, headers: new HeaderList(["link", "</a>"]) });
      served.respond({ status: 200, headers: new HeaderList() }, NONE);
    };
    assert.deepEqual((await exchange(head({ method: "GET" }), NONE)).informed, [103]);
  });

  test("joins the crumbs of a cookie", async () => {
    let cookies: readonly string[] = [];
    onExchange = (served) => {
      cookies = served.request.headers.getAll("cookie");
      served.respond({ status: 200, headers: new HeaderList() }, NONE);
    };
    const headers = new HeaderList(["cookie", "a=1", "cookie", "b=2"]);
    await exchange(head({ method: "GET", headers }), NONE);
    assert.deepEqual(cookies, ["a=1; b=2"]);
  });

  test("is complete when the answer came before all of the request", async () => {
    let closed: ExchangeError | undefined | "no" = "no";
    onExchange = (served) => {
      served.start({
        ...quiet,
        onClosed: (error) => {
          closed = error;
        },
      });
      served.respond({ status: 413, headers: new HeaderList() }, NONE);
    };
    const seen = await exchange(head(), UNKNOWN, (client) => client.write(Buffer.from("part")));
    assert.equal(seen.head?.status, 413);
    assert.equal(closed, undefined);
  });

  test("that the server resets is reset for the client, and never complete", async () => {
    onExchange = (served) => {
      served.respond({ status: 200, headers: new HeaderList() }, UNKNOWN);
      served.write(Buffer.from("half"));
      setImmediate(() => served.reset());
    };
    const seen = await exchange(head({ method: "GET" }), NONE);
    assert.equal(seen.error?.code, "reset");
  });

  test("that the client cancels is closed with an error at the server", async () => {
    const error = await new Promise<ExchangeError | undefined>((resolve) => {
      onExchange = (served) => {
        served.start({ ...quiet, onClosed: resolve });
        served.respond({ status: 200, headers: new HeaderList() }, UNKNOWN);
      };
      void exchange(head(), UNKNOWN, (client) => {
        client.write(Buffer.from("x"));
        setTimeout(() => client.cancel(), 20);
      });
    });
    assert.equal(error?.code, "reset");
  });

  test("is not read faster than it is taken, and goes on when it is", async () => {
    const total = 4 * 1024 * 1024;
    let taken = 0;
    const paused = Promise.withResolvers<ServerExchange>();
    onExchange = (served) => {
      served.start({
        ...quiet,
        onData: (chunk) => {
          taken += chunk.length;
          const first = taken === chunk.length;
          if (first) paused.resolve(served);
          return !first;
        },
        onEnd: () => served.respond({ status: 200, headers: new HeaderList() }, NONE),
      });
    };
    const chunk = Buffer.alloc(64 * 1024);
    const done = exchange(head(), UNKNOWN, (client) => {
      for (let sent = 0; sent < total; sent += chunk.length) client.write(chunk);
      client.end();
    });
    const served = await paused.promise;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(taken <= 64 * 1024, `${taken} bytes were pushed on a paused exchange`);
    served.resume();
    assert.equal((await done).head?.status, 200);
    assert.equal(taken, total);
  });
});

describe("a connection over HTTP/2", () => {
  test("that is drained serves what it has, and what it refuses was not sent", async () => {
    const late: ServerExchange[] = [];
    onExchange = (served) => {
      late.push(served);
    };
    const first = exchange(head({ method: "GET" }), NONE);
    while (late.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    upstream.close();
    assert.equal(upstream.exhausted, true);
    const refused = await exchange(head({ method: "GET" }), NONE);
    assert.equal(refused.error?.code, "not-sent");
    late[0]?.respond({ status: 204, headers: new HeaderList() }, NONE);
    assert.equal((await first).head?.status, 204);
  });

  test("that is cut ends its exchanges with an error, sent as they were", async () => {
    onExchange = () => {
      for (const socket of sockets) socket.destroy();
    };
    let sent: boolean | undefined;
    const seen = await exchange(head(), UNKNOWN, (client) => {
      client.write(Buffer.from("x"));
      ({ sent } = client);
    });
    assert.equal(seen.error?.code, "reset");
    assert.equal(sent, true);
  });

  test("refuses a host that differs from :authority, CONNECT, and too many headers", async () => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => undefined);
    const status = (headers: http2.OutgoingHttpHeaders): Promise<unknown> =>
      new Promise((resolve) => {
        const stream = session.request(headers);
        stream.on("response", (given) => resolve(given[":status"]));
        stream.on("error", () => resolve("reset"));
        stream.on("close", () => resolve("closed"));
        stream.resume();
      });
    assert.equal(await status({ ":path": "/", ":authority": "a", host: "b" }), 400);
    assert.equal(await status({ ":method": "CONNECT", ":authority": "a:1" }), 400);
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`x-${i}`, "1"]));
    assert.notEqual(await status({ ":path": "/", ":authority": "a", ...many }), 200);
    session.destroy();
  });
});
