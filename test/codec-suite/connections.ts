/** Connections are used again where both sides may, and never where a byte could be another's. */
import assert from "node:assert/strict";
import { type Check, check, exchangeOne, fieldOf } from "./check.ts";
import { departureChecks } from "./departures.ts";
import { eventually } from "./raw-connection.ts";

const GET = "GET / HTTP/1.1\r\nHost: api\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const reuseChecks: readonly Check[] = [
  check(
    "one connection to the upstream serves request after request",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write(OK);
      await client.until("ok");
      for (let i = 0; i < 20; i++) await exchangeOne(client, connection, `/${i}`);
      assert.equal(upstream.connections.length, 1);
    },
  ),

  check(
    "an upstream that says close is not asked again on that connection",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok");
      const head = await client.head();
      assert.notEqual(fieldOf(head, "connection"), "close");
      await client.until("ok");
      client.write(GET);
      const second = await upstream.next();
      await second.head();
      second.write(OK);
      await client.until("ok");
    },
  ),

  check(
    "bytes on an idle connection to the upstream cost it the connection",
    async ({ upstream, open, proxy }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write(OK);
      await client.until("ok");
      await eventually(() => proxy.idle === 1, "the connection to be idle");
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
      await connection.wait(() => connection.closed || connection.ended, "the close");
      client.write(GET);
      const second = await upstream.next();
      await second.head();
      second.write(OK);
      await client.until("ok");
      assert.doesNotMatch(client.received, /evil/);
    },
  ),

  check(
    "more than the response is nobody's, and ends the connection to the upstream",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write(`${OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`);
      await client.until("ok");
      await connection.wait(() => connection.closed || connection.ended, "the close");
      client.write(GET);
      await (await upstream.next()).head();
      assert.doesNotMatch(client.received, /evil/);
    },
  ),

  check("an upstream that closes while idle is replaced", async ({ upstream, open, proxy }) => {
    const client = await open();
    client.write(GET);
    const connection = await upstream.next();
    await connection.head();
    connection.write(OK);
    await client.until("ok");
    connection.socket.end();
    await eventually(() => proxy.idle === 0, "the connection to go");
    client.write(GET);
    await (await upstream.next()).head();
  }),
];

const clientChecks: readonly Check[] = [
  check("a client that says close gets its answer and the end", async ({ upstream, open }) => {
    const client = await open();
    client.write("GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n");
    const connection = await upstream.next();
    assert.notEqual(fieldOf(await connection.head(), "connection"), "close");
    connection.write(OK);
    const response = await client.rest();
    assert.match(response, /connection: close\r\n/i);
    assert.match(response, /ok$/);
    await exchangeOne(await open(), connection);
  }),

  check(
    "HTTP/1.0 gets no chunks: a length and keep-alive if it asks, else the end",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("GET / HTTP/1.0\r\nHost: api\r\nConnection: keep-alive\r\n\r\n");
      const connection = await upstream.next();
      assert.match(await connection.head(), / HTTP\/1\.1\r\n/);
      connection.write(OK);
      assert.equal(fieldOf(await client.head(), "connection"), "keep-alive");
      await client.until("ok");
      client.write("GET / HTTP/1.0\r\nHost: api\r\n\r\n");
      await connection.head();
      connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
      const response = await client.rest();
      assert.match(response, /\r\n\r\nok$/);
      assert.doesNotMatch(response, /transfer-encoding/i);
    },
  ),

  check(
    "pipelined requests are answered in order",
    async ({ upstream, open }) => {
      upstream.onConnection = (connection) => {
        void answerWithPath(connection.head.bind(connection), (text) => connection.write(text));
      };
      const client = await open();
      const paths = Array.from({ length: 40 }, (_, i) => `/${i}.`);
      const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: api\r\n\r\n`).join("");
      client.write(requests.slice(0, 777));
      client.write(requests.slice(777));
      for (const path of paths) {
        await client.head();
        assert.equal(await client.until("."), path);
      }
    },
    { needs: "pipelining" },
  ),

  check(
    "after as many requests as a connection may have, it is closed with the last",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write(OK);
      assert.notEqual(fieldOf(await client.head(), "connection"), "close");
      await client.until("ok");
      client.write(GET);
      await connection.head();
      connection.write(OK);
      assert.match(await client.rest(), /connection: close\r\n.*ok$/is);
    },
    { limits: { requestsPerConnection: 2 } },
  ),
];

async function answerWithPath(
  head: () => Promise<string>,
  write: (text: string) => void,
): Promise<void> {
  try {
    for (;;) {
      const [, path = ""] = (await head()).split(" ");
      write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
    }
  } catch {
    // The test is over.
  }
}

/** More than all buffers between two sockets of this machine hold. */
const MUCH = 48 * 1024 * 1024;
const BLOCK = Buffer.alloc(64 * 1024, "x");

const flowChecks: readonly Check[] = [
  check(
    "an upstream that does not read holds its client back, and then gets everything",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`POST / HTTP/1.1\r\nHost: api\r\nContent-Length: ${MUCH}\r\n\r\n`);
      client.socket.write(BLOCK);
      const connection = await upstream.next();
      await connection.head();
      connection.socket.pause();
      for (let sent = BLOCK.length; sent < MUCH; sent += BLOCK.length) client.socket.write(BLOCK);
      const stuck = await plateau(() => client.socket.bytesWritten - client.socket.writableLength);
      assert.ok(stuck < MUCH, "all of it was taken in");
      let received = connection.unread.length;
      connection.socket.removeAllListeners("data");
      connection.socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      connection.socket.resume();
      await eventually(() => received >= MUCH, "all of it");
      connection.write(OK);
      await client.until("ok");
    },
  ),

  check(
    "a client that does not read holds the upstream back, and then gets everything",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      client.socket.pause();
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${MUCH}\r\n\r\n`);
      for (let sent = 0; sent < MUCH; sent += BLOCK.length) connection.socket.write(BLOCK);
      const { socket } = connection;
      const stuck = await plateau(() => socket.bytesWritten - socket.writableLength);
      assert.ok(stuck < MUCH, "all of it was taken in");
      let received = client.received.length;
      client.socket.removeAllListeners("data");
      client.socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      client.socket.resume();
      await eventually(() => received > MUCH, "all of it");
    },
  ),
];

/** The value at which a growing number stays. */
async function plateau(value: () => number): Promise<number> {
  let before = -1;
  let same = 0;
  while (same < 20) {
    const now = value();
    same = now === before ? same + 1 : 0;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return before;
}

const drainChecks: readonly Check[] = [
  check(
    "a drained connection finishes what is under way, says so, and closes",
    async ({ upstream, open, proxy }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      for (const each of proxy.connections) each.drain();
      connection.write(OK);
      assert.match(await client.rest(), /connection: close\r\n.*ok$/is);
    },
  ),

  check("a drained connection without a request closes by itself", async ({ open, proxy }) => {
    const client = await open();
    await eventually(() => proxy.connections.size === 1, "the connection");
    for (const each of proxy.connections) each.drain();
    assert.equal(await client.rest(), "");
  }),
];

export const connectionChecks: readonly Check[] = [
  ...reuseChecks,
  ...clientChecks,
  ...departureChecks,
  ...flowChecks,
  ...drainChecks,
];
