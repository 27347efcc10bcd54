/** Clients that go away before they have their answers, and those that only say all at once. */
import assert from "node:assert/strict";
import { type Check, check } from "./check.ts";

const GET = "GET / HTTP/1.1\r\nHost: api\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 3\r\n\r\nabc";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

export const departureChecks: readonly Check[] = [
  check(
    "a client that sends no more, and said so, still gets its answer",
    async ({ upstream, open }) => {
      const client = await open();
      const fields = "Host: api\r\nConnection: close\r\nContent-Length: 3";
      client.write(`POST / HTTP/1.1\r\n${fields}\r\n\r\nabc`);
      client.socket.end();
      const connection = await upstream.next();
      await connection.until("abc");
      connection.write(OK);
      assert.match(await client.rest(), /ok$/);
    },
    { needs: "half-close" },
  ),

  check(
    "a client that ends its side and had not said so has left: nobody is kept busy for it",
    async ({ upstream, open }) => {
      for (const request of [GET, POST]) {
        const client = await open();
        client.write(request);
        const connection = await upstream.next();
        await connection.head();
        client.socket.end();
        await connection.wait(() => connection.closed || connection.ended, "the end");
        await client.wait(() => client.closed, "the close");
      }
    },
  ),

  check(
    "a client that ends its side behind a further request has left, and is not waited for",
    async ({ upstream, open }) => {
      for (const request of [GET, POST]) {
        const client = await open();
        client.write(`${request}${GET}${GET}`);
        const connection = await upstream.next();
        await connection.head();
        client.socket.end();
        await connection.wait(() => connection.closed || connection.ended, "the end");
        await client.wait(() => client.closed, "the close");
      }
    },
  ),

  check(
    "a client that ends its side behind a request that says close gets all of its answers",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${GET}GET /last HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n`);
      client.socket.end();
      const connection = await upstream.next();
      await connection.head();
      connection.write(OK);
      await client.until("ok");
      const last = await connection.head();
      assert.match(last, /^GET \/last /);
      connection.write(OK);
      assert.match(await client.rest(), /ok$/);
    },
    { needs: "pipelined-close" },
  ),

  check(
    "whose client leaves amid the response, an upstream is let go",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(GET);
      const connection = await upstream.next();
      await connection.head();
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
      await client.until("ok");
      client.socket.end();
      await connection.wait(() => connection.closed || connection.ended, "the end");
    },
  ),
];
