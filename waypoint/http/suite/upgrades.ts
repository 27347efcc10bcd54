/** Upgrades become bytes both ways, only where both sides agreed; 1xx come before the answer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exchangeOne, fieldOf, onBench, type Suite } from "./bench.ts";

const UPGRADE =
  "GET /chat HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Key: abc\r\n\r\n";
const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Accept: def\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: api\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

export function upgradeTests(suite: Suite): void {
  if (suite.can("upgrade")) acceptedTests(suite);
  refusedTests(suite);
  expectTests(suite);
  if (suite.can("informational")) informationTests(suite);
}

function acceptedTests(suite: Suite): void {
  test("an upgrade becomes bytes both ways, half-closes included", () =>
    onBench(suite, async ({ upstream, open, proxy }) => {
      const client = await open();
      client.write(UPGRADE);
      const connection = await upstream.next();
      const request = await connection.head();
      assert.equal(fieldOf(request, "upgrade"), "websocket");
      assert.match(fieldOf(request, "connection") ?? "", /upgrade/i);
      assert.equal(fieldOf(request, "sec-websocket-key"), "abc");
      connection.write(`${SWITCHED}first`);
      const response = await client.head();
      assert.match(response, /^HTTP\/1\.1 101 /);
      assert.equal(fieldOf(response, "upgrade"), "websocket");
      assert.equal(await client.until("first"), "first");
      client.write("GET / HTTP/1.1\r\n\r\n\0\xff");
      assert.equal(await connection.until("\xff"), "GET / HTTP/1.1\r\n\r\n\0\xff");
      client.socket.end();
      await connection.wait(() => connection.ended, "the client's end");
      connection.write("last");
      connection.socket.end();
      assert.equal(await client.rest(), "last");
      await client.wait(() => proxy.exchanges[0]?.serverClosed !== undefined, "the end");
      assert.deepEqual(proxy.exchanges[0]?.serverClosed, { error: undefined });
    }));

  test("what a client sends before the upgrade is answered reaches the upstream after it", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(`${UPGRADE}early`);
      const connection = await upstream.next();
      await connection.head();
      assert.equal(connection.received.includes("early"), false);
      connection.write(SWITCHED);
      assert.equal(await connection.until("early"), "early");
    }));

  test("a reset on one side of an upgraded connection cuts the other", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(UPGRADE);
      const connection = await upstream.next();
      await connection.head();
      connection.write(SWITCHED);
      await client.head();
      connection.socket.resetAndDestroy();
      await client.wait(() => client.closed, "the close");
      assert.ok(client.wasReset);
    }));
}

function refusedTests(suite: Suite): void {
  test("what follows a refused upgrade is the next request, and nothing else", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(`${UPGRADE}GET /next HTTP/1.1\r\nHost: api\r\n\r\n`);
      const connection = await upstream.next();
      await connection.head();
      assert.equal(connection.received.includes("/next"), false);
      connection.write(`HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno`);
      assert.match(await client.head(), /^HTTP\/1\.1 403 /);
      await client.until("no");
      const next = await connection.head();
      assert.match(next, /^GET \/next /);
      connection.write(OK);
      await client.until("ok");
    }));

  test("h2c is not passed on: its requests would go past the proxy unseen", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(
        "GET / HTTP/1.1\r\nHost: api\r\nConnection: Upgrade, HTTP2-Settings\r\n" +
          "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
      );
      const connection = await upstream.next();
      assert.doesNotMatch(await connection.head(), /h2c|http2-settings|upgrade/i);
      connection.write(OK);
      await client.until("ok");
    }));

  test("an upstream that switches protocols unasked is cut off", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write("GET / HTTP/1.1\r\nHost: api\r\n\r\n");
      const connection = await upstream.next();
      await connection.head();
      connection.write(SWITCHED);
      await connection.wait(() => connection.closed || connection.ended, "the close");
      assert.match(await client.head(), /^HTTP\/1\.1 502 /);
    }));
}

function expectTests(suite: Suite): void {
  test("100 (Continue) comes from the upstream alone, and then the body follows", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(POST);
      const connection = await upstream.next();
      assert.equal(fieldOf(await connection.head(), "expect"), "100-continue");
      assert.equal(client.received, "");
      connection.write("HTTP/1.1 100 Continue\r\n\r\n");
      assert.match(await client.head(), /^HTTP\/1\.1 100 /);
      client.write("hello");
      await connection.until("hello");
      connection.write(OK);
      assert.match(await client.head(), /^HTTP\/1\.1 200 /);
      await client.until("ok");
      await exchangeOne(client, connection);
    }));

  test("an answer in place of 100 ends the connection: whether a body follows is unknown", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write(POST);
      const connection = await upstream.next();
      await connection.head();
      connection.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno");
      assert.match(await client.rest(), /^HTTP\/1\.1 417 .*connection: close\r\n.*no$/is);
    }));
}

function informationTests(suite: Suite): void {
  test("1xx responses pass on the way to the one that counts", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write("GET / HTTP/1.1\r\nHost: api\r\n\r\n");
      const connection = await upstream.next();
      await connection.head();
      connection.write(`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`);
      const hint = await client.head();
      assert.match(hint, /^HTTP\/1\.1 103 /);
      assert.equal(fieldOf(hint, "link"), "</a>");
      assert.match(await client.head(), /^HTTP\/1\.1 200 /);
      await client.until("ok");
    }));

  test("HTTP/1.0 is sent no 1xx", () =>
    onBench(suite, async ({ upstream, open }) => {
      const client = await open();
      client.write("GET / HTTP/1.0\r\nHost: api\r\n\r\n");
      const connection = await upstream.next();
      await connection.head();
      connection.write(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
      assert.match(await client.rest(), /^HTTP\/1\.1 200 /);
    }));
}
