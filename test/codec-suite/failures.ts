/** Whoever breaks off is noticed on the other side; whoever stalls or overdoes it is answered. */
import assert from "node:assert/strict";
import { type Check, check } from "./check.ts";
import { eventually } from "./raw-connection.ts";

const GET = "GET / HTTP/1.1\r\nHost: api\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const brokenOffChecks: readonly Check[] = [
  ...["content-length: 10", "transfer-encoding: chunked"].map((framing) =>
    check(
      `an upstream that dies within a body (${framing}) never looks like its end`,
      async ({ upstream, open, proxy }) => {
        const client = await open();
        client.write(GET);
        const connection = await upstream.next();
        await connection.head();
        connection.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n3\r\nabc\r\n`);
        await client.until("abc");
        connection.socket.destroy();
        await client.wait(() => client.closed || client.ended, "the cut");
        assert.doesNotMatch(client.received, /\r\n0\r\n\r\n$/);
        const record = proxy.exchanges[0];
        await eventually(() => record?.clientClosed !== undefined, "the upstream's end");
        assert.equal(record?.clientClosed?.error?.code, "reset");
      },
    ),
  ),

  check(
    "an upstream that closes without an answer is told apart from one that was never asked",
    async ({ upstream, open, proxy }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.socket.destroy();
      assert.match(await client.head(), /^HTTP\/1\.1 502 /);
      const [record] = proxy.exchanges;
      assert.equal(record?.clientClosed?.error?.code, "reset");
      assert.equal(record?.client?.sent, true);
    },
  ),

  check(
    "a client that leaves within its body, or while it waits, cancels the upstream",
    async ({ upstream, open, proxy }) => {
      for (const start of ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", GET]) {
        const client = await open();
        client.write(start);
        const connection = await upstream.next();
        await connection.head();
        client.socket.resetAndDestroy();
        await connection.wait(() => connection.closed, "the cancellation");
      }
      await eventually(() => proxy.connections.size === 0, "the connections to go");
      assert.ok(proxy.exchanges.every(({ serverClosed }) => serverClosed?.error !== undefined));
    },
  ),

  check(
    "a request that ends before its body does is not passed on as a whole one",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      const connection = await upstream.next();
      await connection.until("abc");
      client.socket.end();
      await connection.wait(() => connection.closed || connection.ended, "the cut");
      assert.doesNotMatch(connection.received, /\r\n0\r\n/);
    },
  ),
];

const MALFORMED: Readonly<Record<string, string>> = {
  "no HTTP at all": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
  "Content-Length and Transfer-Encoding":
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  "two lengths": "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
  "a folded field": "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n",
  "a bare CR": "HTTP/1.1 200 OK\r\nx: a\rb\r\ncontent-length: 0\r\n\r\n",
};

const brokenResponseChecks: readonly Check[] = [
  ...Object.entries(MALFORMED).map(([what, response]) =>
    check(
      `a response with ${what} is an error of the upstream`,
      async ({ upstream, open, proxy }) => {
        const client = await open();
        client.write(GET);
        const connection = await upstream.next();
        await connection.head();
        connection.write(response);
        assert.match(await client.head(), /^HTTP\/1\.1 502 /);
        assert.equal(proxy.exchanges[0]?.clientClosed?.error?.code, "protocol");
        await connection.wait(() => connection.closed, "the cut");
      },
    ),
  ),

  check("1xx responses without end are cut off", async ({ upstream, open }) => {
    const client = await open();
    client.write(GET);
    const connection = await upstream.next();
    await connection.head();
    for (let i = 0; i < 1_000 && !connection.closed; i++) {
      connection.write("HTTP/1.1 103 Early Hints\r\n\r\n");
    }
    await client.until("HTTP/1.1 502 ");
    await connection.wait(() => connection.closed, "the cut");
  }),
];

const earlyAnswerChecks: readonly Check[] = [
  check(
    "an answer before the request's end reaches the client, and the rest harms nobody",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
      const connection = await upstream.next();
      await connection.until("abc");
      connection.write("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno");
      assert.match(await client.head(), /^HTTP\/1\.1 413 /);
      await client.until("no");
      await connection.wait(() => connection.closed || connection.ended, "no more use");
      client.write("GET / x");
      client.write(GET);
      const next = await Promise.race([
        upstream.next().then((each) => each.head()),
        client.rest().then(() => "closed"),
      ]);
      assert.match(next, /^(GET \/ HTTP\/1\.1\r\n|closed$)/);
    },
  ),
];

const FILLER = `x-filler: ${"a".repeat(200)}\r\n`;
const TOO_LARGE: [what: string, text: string][] = [
  ["a header beyond its bytes", `GET / HTTP/1.1\r\nHost: a\r\n${FILLER.repeat(30)}\r\n`],
  ["a header that goes on and on", `GET / HTTP/1.1\r\nHost: a\r\nx: ${"a".repeat(9_000)}`],
  ["a request target beyond them", `GET /${"a".repeat(9_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
];

const limitChecks: readonly Check[] = [
  ...TOO_LARGE.map(([what, text]) =>
    check(
      `${what} is answered 431 or 414, and nothing of it reaches the upstream`,
      async ({ upstream, open }) => {
        const client = await open();
        client.write(text);
        assert.match(await client.rest(), /^HTTP\/1\.1 4(31|14) /);
        assert.equal(upstream.connections.length, 0);
      },
      { limits: { headerBytes: 4_096 } },
    ),
  ),

  check(
    "more header fields than allowed are answered 431",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`GET / HTTP/1.1\r\nHost: a\r\n${"a: b\r\n".repeat(100)}\r\n`);
      assert.match(await client.rest(), /^HTTP\/1\.1 431 /);
      assert.equal(upstream.connections.length, 0);
    },
    { limits: { headerCount: 50 } },
  ),

  check(
    "a response whose header is too large is an error of the upstream",
    async ({ upstream, open, proxy }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write(`HTTP/1.1 200 OK\r\n${FILLER.repeat(100)}\r\n`);
      assert.match(await client.head(), /^HTTP\/1\.1 502 /);
      assert.equal(proxy.exchanges[0]?.clientClosed?.error?.code, "limit");
    },
    { needs: "response-limits" },
  ),
];

const timeoutChecks: readonly Check[] = [
  check(
    "a header that does not end in time is answered 408",
    async ({ open }) => {
      const client = await open();
      client.write("GET / HTTP/1.1\r\nHost:");
      assert.match(await client.rest(), /^HTTP\/1\.1 408 /);
    },
    { limits: { headersTimeoutMs: 300 } },
  ),

  check(
    "a body of which nothing comes is cut off, on both sides",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
      const connection = await upstream.next();
      await connection.until("abc");
      await client.wait(() => client.ended || client.closed, "the end");
      await connection.wait(() => connection.closed, "the cancellation");
    },
    { limits: { bodyTimeoutMs: 300 } },
  ),

  check(
    "a connection without a request is closed after a while, a busy one is not",
    async ({ upstream, open }) => {
      const [busy, idle] = [await open(), await open()];
      busy.write(GET);
      const connection = await upstream.next();
      await connection.head();
      assert.equal(await idle.rest(), "");
      assert.equal(busy.closed || busy.ended, false);
      connection.write(OK);
      await busy.until("ok");
    },
    { limits: { idleTimeoutMs: 300 } },
  ),

  check(
    "a client that takes nothing of its answer is cut off",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      client.socket.pause();
      connection.write(`HTTP/1.1 200 OK\r\ncontent-length: ${48 << 20}\r\n\r\n`);
      connection.socket.write(Buffer.alloc(48 << 20));
      await connection.wait(() => connection.closed, "the cut");
    },
    { needs: "write-timeout", limits: { bodyTimeoutMs: 400 } },
  ),
];

export const failureChecks: readonly Check[] = [
  ...brokenOffChecks,
  ...brokenResponseChecks,
  ...earlyAnswerChecks,
  ...limitChecks,
  ...timeoutChecks,
];
