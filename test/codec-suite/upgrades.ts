/** Upgrades become bytes both ways, only where both sides agreed; 1xx come before the answer. */
import assert from "node:assert/strict";
import { type Check, check, exchangeOne, fieldOf } from "./check.ts";

const UPGRADE =
  "GET /chat HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Key: abc\r\n\r\n";
const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Accept: def\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: api\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const acceptedChecks: readonly Check[] = [
  check(
    "an upgrade becomes bytes both ways, half-closes included",
    async ({ upstream, open, proxy }) => {
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
    },
    { needs: "upgrade" },
  ),

  check(
    "what a client sends before the upgrade is answered reaches the upstream after it",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${UPGRADE}early`);
      const connection = await upstream.next();
      await connection.head();
      assert.equal(connection.received.includes("early"), false);
      connection.write(SWITCHED);
      assert.equal(await connection.until("early"), "early");
    },
    { needs: "upgrade" },
  ),

  check(
    "a reset on one side of an upgraded connection cuts the other",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(UPGRADE);
      const connection = await upstream.next();
      await connection.head();
      connection.write(SWITCHED);
      await client.head();
      connection.socket.resetAndDestroy();
      await client.wait(() => client.closed, "the close");
      assert.ok(client.wasReset);
    },
    { needs: "upgrade" },
  ),
];

const refusedChecks: readonly Check[] = [
  check(
    "what follows a refused upgrade is the next request, or nothing",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${UPGRADE}GET /next HTTP/1.1\r\nHost: api\r\n\r\n`);
      const connection = await upstream.next();
      await connection.head();
      assert.equal(connection.received.includes("/next"), false);
      connection.write(`HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno`);
      const head = await client.head();
      assert.match(head, /^HTTP\/1\.1 403 /);
      await client.until("no");
      if (fieldOf(head, "connection") === "close") {
        assert.equal(await client.rest(), "");
        assert.doesNotMatch(connection.received, /next/);
        return;
      }
      const next = await connection.head();
      assert.match(next, /^GET \/next /);
      connection.write(OK);
      await client.until("ok");
    },
  ),

  ...["h2c", "H2C", "websocket, h2c", "h2c,websocket", "websocket\r\nUpgrade: h2c"].map((offer) =>
    check(
      `${JSON.stringify(offer)} is not passed on: requests of h2c would go past the proxy unseen`,
      async ({ upstream, open }) => {
        const client = await open();
        client.write(
          "GET / HTTP/1.1\r\nHost: api\r\nConnection: Upgrade, HTTP2-Settings\r\n" +
            `Upgrade: ${offer}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
        );
        const connection = await upstream.next();
        assert.doesNotMatch(await connection.head(), /h2c|http2-settings|upgrade/i);
        connection.write(OK);
        await client.until("ok");
      },
    ),
  ),

  check("an upstream that switches protocols unasked is cut off", async ({ upstream, open }) => {
    const client = await open();
    client.write("GET / HTTP/1.1\r\nHost: api\r\n\r\n");
    const connection = await upstream.next();
    await connection.head();
    connection.write(SWITCHED);
    await connection.wait(() => connection.closed || connection.ended, "the close");
    assert.match(await client.head(), /^HTTP\/1\.1 502 /);
  }),
];

const expectChecks: readonly Check[] = [
  check(
    "100 (Continue) comes from the upstream alone, and then the body follows",
    async ({ upstream, open }) => {
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
    },
    { needs: "expect" },
  ),

  check(
    "an answer in place of 100 ends the connection: whether a body follows is unknown",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(POST);
      const connection = await upstream.next();
      await connection.head();
      connection.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno");
      assert.match(await client.rest(), /^HTTP\/1\.1 417 .*connection: close\r\n.*no$/is);
    },
    { needs: "expect" },
  ),
];

const informationChecks: readonly Check[] = [
  check(
    "1xx responses pass on the way to the one that counts",
    async ({ upstream, open }) => {
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
    },
    { needs: "informational" },
  ),

  check(
    "HTTP/1.0 is sent no 1xx",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("GET / HTTP/1.0\r\nHost: api\r\n\r\n");
      const connection = await upstream.next();
      await connection.head();
      connection.write(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`);
      assert.match(await client.rest(), /^HTTP\/1\.1 200 /);
    },
    { needs: "informational" },
  ),
];

export const upgradeChecks: readonly Check[] = [
  ...acceptedChecks,
  ...refusedChecks,
  ...expectChecks,
  ...informationChecks,
];
