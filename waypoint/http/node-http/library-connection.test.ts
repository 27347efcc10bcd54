import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import net from "node:net";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { eventually, RawConnection, RawUpstream } from "#test/codec-suite/raw-connection.ts";
import type { Forwarder, UpstreamConnection } from "../engine.ts";
import type { ExchangeError } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { RELAY_LIMITS, RelayProxy, wireOf } from "../relay-fixture.ts";
import { httpProxyForwarder } from "./http-proxy-forwarder.ts";
import { undiciForwarder } from "./undici-forwarder.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const NO_BODY: BodyLength = { kind: "none" };

function head(headers: string[] = [], other: Partial<RequestHead> = {}): RequestHead {
  const plain = { version: "1.1", method: "GET", scheme: "http", authority: "a" } as const;
  return { ...plain, path: "/", headers: new HeaderList(headers), ...other };
}

async function connectTo(make: () => Forwarder, port: number): Promise<UpstreamConnection> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  after(() => socket.destroy());
  return make().connect(wireOf(socket), RELAY_LIMITS, {
    onIdle: () => undefined,
    onClosed: () => undefined,
  });
}

interface Outcome {
  status?: number;
  closed?: { readonly error: ExchangeError | undefined };
}

function ask(connection: UpstreamConnection, request: RequestHead, body = NO_BODY) {
  const outcome: Outcome = {};
  const exchange = connection.request(request, body, {
    onInformation: () => undefined,
    onHead: ({ status }) => {
      outcome.status = status;
    },
    onData: () => true,
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClosed: (error) => {
      assert.equal(outcome.closed, undefined, "closed twice");
      outcome.closed = { error };
    },
  });
  return { exchange, outcome };
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

async function abandon(proxy: RelayProxy, upstream: RawUpstream, start: string): Promise<void> {
  const client = await RawConnection.open(proxy.port);
  client.write(start);
  const connection = await upstream.next();
  await connection.head();
  client.socket.resetAndDestroy();
  await connection.wait(() => connection.closed, "the cancellation");
}

for (const make of [httpProxyForwarder, undiciForwarder]) {
  describe(`${make().name}: an upstream's connection`, { timeout: 120_000 }, () => {
    test("200 clients that left before their answers leave no descriptor behind", async () => {
      const upstream = new RawUpstream();
      const proxy = new RelayProxy(make());
      await upstream.listen();
      await proxy.listen(upstream.port);
      await abandon(proxy, upstream, GET);
      const before = descriptors();
      for (let i = 0; i < 100; i++) {
        await abandon(proxy, upstream, GET);
        await abandon(proxy, upstream, POST);
      }
      await eventually(() => descriptors() <= before, "the descriptors");
      assert.equal(proxy.idle, 0);
      proxy.close();
      upstream.close();
    });

    test("what would split a line is never sent, and breaks nothing else", async () => {
      const upstream = new RawUpstream();
      await upstream.listen();
      const connection = await connectTo(make, upstream.port);
      const bad: RequestHead[] = [
        ...["a\r\nb: c", "a\nb", "a\0b", "a\u010ab"].map((value) => head(["x", value])),
        head(["x\r\ny", "a"]),
        head([], { path: "/ HTTP/1.1\r\nx: y" }),
        head([], { method: "GET /\r\n" }),
        head([], { authority: "a\r\nx: y" }),
      ];
      for (const request of bad) {
        const { exchange, outcome } = ask(connection, request);
        await eventually(() => outcome.closed !== undefined, "the refusal");
        assert.equal(outcome.closed?.error?.code, "protocol");
        assert.equal(exchange.sent, false);
      }
      const { outcome } = ask(connection, head());
      const other = await upstream.next();
      assert.match(await other.head(), /^GET \/ HTTP\/1\.1\r\n/);
      other.write(OK);
      await eventually(() => outcome.closed !== undefined, "the end");
      assert.deepEqual([outcome.status, outcome.closed?.error], [200, undefined]);
      upstream.close();
    });

    test("an upgrade is refused without a byte; a second request at a time throws", async () => {
      const upstream = new RawUpstream();
      await upstream.listen();
      const connection = await connectTo(make, upstream.port);
      const { outcome } = ask(connection, head([], { upgrade: "websocket" }));
      await eventually(() => outcome.closed !== undefined, "the refusal");
      assert.equal(outcome.closed?.error?.code, "protocol");
      const { exchange } = ask(connection, head());
      assert.throws(() => ask(connection, head()), { code: "UPSTREAM_BUSY" });
      exchange.cancel();
      assert.ok(connection.exhausted);
      const after = ask(connection, head());
      await eventually(() => after.outcome.closed !== undefined, "the end");
      assert.equal(after.outcome.closed?.error?.code, "not-sent");
      upstream.close();
    });

    test("a body that is not as long as it said ends the connection", async () => {
      for (const pieces of [["abc", "def"], ["abc"]]) {
        const upstream = new RawUpstream();
        await upstream.listen();
        const connection = await connectTo(make, upstream.port);
        const length = { kind: "known", bytes: 5 } as const;
        const { exchange, outcome } = ask(connection, head([], { method: "POST" }), length);
        for (const piece of pieces) {
          exchange.write(Buffer.from(piece));
          await turn();
        }
        exchange.end();
        assert.equal(outcome.closed?.error?.code, "protocol");
        const other = await upstream.next();
        await other.wait(() => other.closed, "the cut");
        upstream.close();
      }
    });
  });
}
