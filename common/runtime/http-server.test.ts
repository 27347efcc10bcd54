import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, test } from "node:test";
import { type RunningServer, serveHttp } from "./http-server.ts";

const servers: RunningServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

async function serve() {
  const paths: string[] = [];
  const server = await serveHttp({ host: "127.0.0.1", port: 0 }, ({ path }) => {
    paths.push(path);
    return { status: 200, body: "yes\n" };
  });
  servers.push(server);
  return { port: server.port, paths };
}

/** What comes back for these bytes until the server closes, or says enough. */
function raw(port: number, text: string, enough = /\r\n\r\n/): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      answer += chunk;
      if (enough.test(answer)) socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });
}

const get = (target: string, headers = "") =>
  `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;

test("only a path is a path: no absolute form, no authority, no asterisk", async () => {
  const { port, paths } = await serve();
  const targets = ["http://evil.example/config_dump", "@localhost/x", "*", "x"];
  for (const target of targets) assert.match(await raw(port, get(target)), /^HTTP\/1.1 400 /);
  assert.match(await raw(port, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), /^(HTTP\/1.1 4|$)/);
  assert.deepEqual(paths, []);
  assert.match(await raw(port, get("/a?b=%ff")), /^HTTP\/1.1 200 /);
});

test("headers beyond the bound are refused", async () => {
  const { port, paths } = await serve();
  const big = `X-Big: ${"x".repeat(20_000)}\r\n`;
  assert.match(await raw(port, get("/", big)), /^HTTP\/1.1 431 /);
  assert.deepEqual(paths, []);
});

test("a body that says it is too long is refused unread", async () => {
  const { port, paths } = await serve();
  const answer = await raw(port, get("/", "Content-Length: 999999999999\r\n"));
  assert.match(answer, /^HTTP\/1.1 413 [\s\S]*connection: close/i);
  assert.deepEqual(paths, []);
});

test("a body without a length that does not end loses its connection", async () => {
  const { port } = await serve();
  const chunk = `1000\r\n${"x".repeat(0x1000)}\r\n`;
  const head = get("/", "Transfer-Encoding: chunked\r\n");
  // Nothing is enough: resolves only if the server closes.
  const answer = await raw(port, head + chunk.repeat(64), /never/);
  assert.doesNotMatch(answer, /never/);
});

test("two requests that disagree on where the first ends are not both answered", async () => {
  const { port, paths } = await serve();
  const both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
  assert.match(await raw(port, `${get("/first", both)}0\r\n\r\nGET /second`), /^HTTP\/1.1 400 /);
  assert.deepEqual(paths, []);
});
