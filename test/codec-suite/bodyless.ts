/** Answers that have no body by what they are: who thinks otherwise waits, or reads another's. */
import assert from "node:assert/strict";
import { type Check, check, exchangeOne, fieldOf } from "./check.ts";
import { eventually } from "./raw-connection.ts";

const GET = "GET / HTTP/1.1\r\nHost: api\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const BODYLESS: [request: string, status: string, fields: string][] = [
  ["HEAD", "200 OK", "content-length: 10\r\n"],
  ["HEAD", "200 OK", "transfer-encoding: chunked\r\n"],
  ["GET", "204 No Content", ""],
  ["GET", "304 Not Modified", "content-length: 10\r\netag: x\r\n"],
];

export const bodylessChecks: readonly Check[] = [
  ...BODYLESS.map(([method, status, fields]) =>
    check(
      `${method} answered ${status} ${fields.trim()} has none, and both sides go on`,
      async ({ upstream, open }) => {
        const client = await open();
        client.write(`${method} / HTTP/1.1\r\nHost: api\r\n\r\n`);
        const connection = await upstream.next();
        await connection.head();
        connection.write(`HTTP/1.1 ${status}\r\n${fields}\r\n`);
        const head = await client.head();
        assert.ok(head.startsWith(`HTTP/1.1 ${status.slice(0, 3)} `));
        if (method === "HEAD" && fields.startsWith("content")) {
          assert.equal(fieldOf(head, "content-length"), "10");
        }
        await exchangeOne(client, connection);
      },
      status.startsWith("204") ? {} : { needs: "reuse-after-bodyless" },
    ),
  ),

  check("HEAD and 304 have no body, whatever their length says", async ({ upstream, open }) => {
    const client = await open();
    for (const [method, status] of [
      ["HEAD", "200 OK"],
      ["GET", "304 Not Modified"],
      ["HEAD", "200 OK"],
    ]) {
      client.write(`${method} / HTTP/1.1\r\nHost: api\r\n\r\n`);
      const asked = (): boolean => upstream.connections.some((each) => each.unread !== "");
      await eventually(asked, "the request");
      const connection = upstream.connections.find((each) => each.unread !== "");
      assert.ok(connection !== undefined);
      await connection.head();
      connection.write(`HTTP/1.1 ${status}\r\ncontent-length: 10\r\n\r\n`);
      const head = await client.head();
      assert.ok(head.startsWith(`HTTP/1.1 ${status?.slice(0, 3)} `), head);
      assert.equal(fieldOf(head, "content-length"), "10");
    }
  }),

  check(
    "a body behind a 204 is nobody's, least of all the next request's answer",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${GET}\r\n`);
      const first = await upstream.next();
      await first.head();
      first.write(
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
      );
      await client.head();
      client.write(`${GET}\r\n`);
      const second = await upstream.next();
      await second.head();
      second.write(OK);
      await client.until("ok");
      assert.doesNotMatch(client.received, /evil/);
    },
  ),
];
