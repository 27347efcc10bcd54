/** Messages pass an engine whole, and with nothing that was meant for one connection only. */
import assert from "node:assert/strict";
import { HeaderList } from "#waypoint/http/header-list.ts";
import { type Check, check, exchangeOne, fieldOf } from "./check.ts";

const GET = "GET /a?b=c HTTP/1.1\r\nHost: api.shop:80\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const NO_BODY = { kind: "none" } as const;
const NO_EVENTS = {
  onData: () => true,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClosed: () => undefined,
};

const headChecks: readonly Check[] = [
  check(
    "a request arrives with its method, path, host and fields, the answer with its own",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${GET}X-One: 1\r\nx-two: a\r\nX-Two: b\r\nAccept: \t*/* \r\n\r\n`);
      const connection = await upstream.next();
      const request = await connection.head();
      assert.match(request, /^GET \/a\?b=c HTTP\/1\.1\r\n/);
      assert.equal(fieldOf(request, "host"), "api.shop:80");
      assert.equal(fieldOf(request, "x-one"), "1");
      assert.equal(fieldOf(request, "accept"), "*/*");
      assert.match(request, /x-two: a.*(x-two: |, ?)b/is);
      connection.write(
        "HTTP/1.1 207 Whatever\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" +
          "Content-Length: 2\r\n\r\nok",
      );
      const response = await client.head();
      assert.match(response, /^HTTP\/1\.1 207 /);
      assert.match(response, /set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
      assert.equal(await client.until("ok"), "ok");
    },
  ),

  check(
    "fields for one connection stay on it, in both directions, and those that it names",
    async ({ upstream, open }) => {
      const hop =
        "Connection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n" +
        "Proxy-Connection: keep-alive\r\nX-Kept: 1\r\n";
      const client = await open();
      client.write(`${GET}${hop}Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\n\r\n`);
      const connection = await upstream.next();
      const request = await connection.head();
      assert.doesNotMatch(request, /secret|proxy-|timeout|gzip/i);
      assert.equal(fieldOf(request, "x-kept"), "1");
      connection.write(`HTTP/1.1 200 OK\r\n${hop}Content-Length: 0\r\n\r\n`);
      const response = await client.head();
      assert.doesNotMatch(response, /secret|proxy-|timeout=5/i);
      assert.equal(fieldOf(response, "x-kept"), "1");
    },
  ),

  check("bytes beyond ASCII in a value arrive as they were", async ({ upstream, open }) => {
    const client = await open();
    client.write(`${GET}x-name: \xe9\x80\xff\r\n\r\n`);
    const connection = await upstream.next();
    assert.equal(fieldOf(await connection.head(), "x-name"), "\xe9\x80\xff");
    connection.write("HTTP/1.1 200 OK\r\nx-name: \xff\xe9\r\ncontent-length: 0\r\n\r\n");
    assert.equal(fieldOf(await client.head(), "x-name"), "\xff\xe9");
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nx: \xe9\r\nContent-Length: 2\r\n\r\nab`);
    assert.equal(fieldOf(await connection.head(), "x"), "\xe9");
    await connection.until("ab");
    connection.write("HTTP/1.1 200 OK\r\nx: \xff\r\ncontent-length: 2\r\n\r\nok");
    assert.equal(fieldOf(await client.head(), "x"), "\xff");
  }),

  check(
    "an absolute request target names the host, and Host may not say another",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("GET http://api:81/x?y HTTP/1.1\r\nHost: api:81\r\n\r\n");
      const connection = await upstream.next();
      const request = await connection.head();
      assert.match(request, /^GET \/x\?y HTTP\/1\.1\r\n/);
      assert.equal(fieldOf(request, "host"), "api:81");
      connection.write(OK);
      await client.until("ok");
      client.write("GET http://api:81/x HTTP/1.1\r\nHost: other\r\n\r\n");
      assert.match(await client.head(), /^HTTP\/1\.1 400 /);
    },
  ),

  check(
    "OPTIONS * passes as it is",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("OPTIONS * HTTP/1.1\r\nHost: api\r\n\r\n");
      const connection = await upstream.next();
      assert.match(await connection.head(), /^OPTIONS \* HTTP\/1\.1\r\n/);
      connection.write(OK);
      await client.until("ok");
    },
    { needs: "options-asterisk" },
  ),

  check("CONNECT is refused", async ({ upstream, open }) => {
    const client = await open();
    client.write("CONNECT api:80 HTTP/1.1\r\nHost: api:80\r\n\r\n");
    assert.match(await client.rest(), /^HTTP\/1\.1 40[05] /);
    assert.equal(upstream.connections.length, 0);
  }),

  check("an answer with a field that would end its line is never sent", async ({ proxy, open }) => {
    for (const value of ["a\r\nset-cookie: x=1", "a\nb", "a\0b", "a\u010ab"]) {
      proxy.handler = (exchange) => {
        exchange.start(NO_EVENTS);
        exchange.respond({ status: 200, headers: new HeaderList(["x", value]) }, NO_BODY);
      };
      const client = await open();
      client.write(`${GET}\r\n`);
      assert.doesNotMatch(await client.rest(), /^HTTP\/1\.1 200|set-cookie|\nb/);
    }
  }),
];

const bodyChecks: readonly Check[] = [
  check("a body of known length passes with it", async ({ upstream, open }) => {
    const client = await open();
    client.write("POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\n\r\nhello");
    const connection = await upstream.next();
    assert.equal(fieldOf(await connection.head(), "content-length"), "5");
    assert.equal(await connection.until("hello"), "hello");
    connection.write(OK);
    const response = await client.head();
    assert.equal(fieldOf(response, "content-length"), "2");
    await client.until("ok");
    await exchangeOne(client, connection);
  }),

  check(
    "a chunked body passes chunked, whatever its pieces and extensions",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("POST / HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const piece of ["3;a=b", "\r\nab", "c\r", "\n0a\r\n0123456789\r\n", "0\r\n", "\r\n"]) {
        client.write(piece);
      }
      const connection = await upstream.next();
      const head = await connection.head();
      assert.equal(fieldOf(head, "transfer-encoding"), "chunked");
      const body = await connection.until("\r\n0\r\n\r\n");
      assert.equal(unchunk(body), "abc0123456789");
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
      await client.head();
      await client.until("ok");
      connection.write("0\r\n\r\n");
      await client.until("0\r\n\r\n");
      await exchangeOne(client, connection);
    },
  ),

  check(
    "the head of a request leaves before its body is there",
    async ({ upstream, open }) => {
      const client = await open();
      client.write("POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\n\r\n");
      const connection = await upstream.next();
      await connection.head();
      client.write("hello");
      await connection.until("hello");
    },
    { needs: "early-head" },
  ),

  check(
    "a response that ends with its connection reaches the client as a whole message",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${GET}\r\n`);
      const connection = await upstream.next();
      await connection.head();
      connection.write("HTTP/1.1 200 OK\r\n\r\nall of it");
      connection.socket.end();
      const head = await client.head();
      assert.equal(fieldOf(head, "transfer-encoding"), "chunked");
      assert.equal(unchunk(await client.until("0\r\n\r\n")), "all of it");
      client.write(`${GET}\r\n`);
      await (await upstream.next()).head();
    },
  ),

  check(
    "request trailers pass, but not those that would change the request",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(
        "POST / HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" +
          "X-Sum: 7\r\nHost: evil\r\nAuthorization: evil\r\nX-Forwarded-For: evil\r\n\r\n",
      );
      const connection = await upstream.next();
      await connection.head();
      const sent = await connection.until("0\r\n");
      const trailers = await connection.head();
      assert.match(trailers, /^x-sum: 7\r\n/i);
      assert.doesNotMatch(sent + trailers, /evil/);
    },
    { needs: "request-trailers" },
  ),

  check(
    "response trailers pass",
    async ({ upstream, open }) => {
      const client = await open();
      client.write(`${GET}TE: trailers\r\n\r\n`);
      const connection = await upstream.next();
      assert.equal(fieldOf(await connection.head(), "te"), "trailers");
      connection.write(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" +
          "grpc-status: 0\r\nset-cookie: evil\r\n\r\n",
      );
      await client.head();
      await client.until("0\r\n");
      assert.equal(await client.head(), "grpc-status: 0\r\n\r\n");
    },
    { needs: "response-trailers" },
  ),

  check("a length in trailers is dropped, or the response is", async ({ upstream, open }) => {
    const client = await open();
    client.write(`${GET}\r\n`);
    const connection = await upstream.next();
    await connection.head();
    connection.write(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" +
        "x-last: 1\r\ncontent-length: 9\r\n\r\n",
    );
    const over = (): boolean => client.ended || client.closed;
    await client.wait(() => over() || client.received.includes("0\r\n"), "the end");
    assert.doesNotMatch(client.received, /content-length/i);
  }),
];

function unchunk(text: string): string {
  let body = "";
  let at = 0;
  for (;;) {
    const [line = "", digits = "0"] = /^([0-9a-f]+)\r\n/i.exec(text.slice(at)) ?? [];
    const size = Number.parseInt(digits, 16);
    if (size === 0) return body;
    body += text.slice(at + line.length, at + line.length + size);
    at += line.length + size + 2;
  }
}

export const messageChecks: readonly Check[] = [...headChecks, ...bodyChecks];
