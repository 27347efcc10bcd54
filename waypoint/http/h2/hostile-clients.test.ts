/** Clients of an HTTP/2 connection that read nothing, lie about their scheme, or just go. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session } from "node:http2";
import net from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import type { CodecLimits } from "../engine.ts";
import type { ExchangeError, ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

const LIMITS: CodecLimits = {
  headerBytes: 16_384,
  headerCount: 50,
  headersTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 300,
  requestsPerConnection: 1_000,
  pipelinedRequests: 10,
  concurrentStreams: 100,
};

const server = net.createServer((socket) => {
  http2Codec.serve(wireOf(socket), LIMITS, {
    onExchange: (exchange) => serve(exchange),
    onClosed: () => undefined,
  });
});
let serve: (exchange: ServerExchange) => void;
let session: ClientHttp2Session;

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on("error", () => undefined);
});
afterEach(() => {
  session.destroy();
  server.close();
});

/** How the exchange ended whose client was answered with so many bytes, if at all. */
function outcome(byteCount: number | undefined, headers = {}): Promise<ExchangeError | undefined> {
  return new Promise((resolve) => {
    serve = (exchange) => {
      const events = { onData: () => true, onEnd: () => undefined, onDrain: () => undefined };
      exchange.start({ ...events, onClosed: resolve });
      if (byteCount === undefined) return;
      exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "unknown" });
      exchange.write(Buffer.alloc(byteCount));
      exchange.end();
    };
    const stream = session.request({ ":path": "/", ...headers });
    stream.on("error", () => undefined);
  });
}

test("a response that nobody reads is given up, long or short", async () => {
  for (const bytes of [1_000_000, 10]) assert.equal((await outcome(bytes))?.code, "timeout");
});

test("a client that waits for its response may wait for longer than for bytes", async () => {
  let over = false;
  void outcome(undefined).then(() => {
    over = true;
  });
  const taken = serve;
  await new Promise<void>((resolve) => {
    serve = (exchange) => {
      taken(exchange);
      resolve();
    };
  });
  // Begun later and given up already: the first would have been, too.
  assert.equal((await outcome(10))?.code, "timeout");
  assert.equal((await outcome(10))?.code, "timeout");
  assert.equal(over, false);
});

test("a client that ends its side has left, whatever it waits for", async () => {
  const left = outcome(undefined);
  await once(session, "remoteSettings");
  setImmediate(() => (session.socket as net.Socket).destroySoon());
  assert.equal((await left)?.code, "reset");
});

test("the scheme is the wire's own, and no word of another protocol passes", async () => {
  const told = new Promise<string>((resolve) => {
    serve = ({ request }) => resolve(request.scheme);
  });
  session.request({ ":path": "/", ":scheme": "https" }).on("error", () => undefined);
  assert.equal(await told, "http");
  const foreign = session.request({ ":path": "/", ":scheme": "gopher" });
  const [answer] = await once(foreign, "response");
  assert.equal(answer[":status"], 400);
});
