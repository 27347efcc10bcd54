import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterEach, describe, test } from "node:test";
import { API, ProxyFixture, type ProxyOptions, toApi } from "./proxy-fixture.ts";
import { call, until } from "./test-client.ts";

let fixture: ProxyFixture;
async function start(options: ProxyOptions = {}): Promise<ProxyFixture> {
  fixture = await ProxyFixture.start(options);
  return fixture;
}
afterEach(async () => {
  await until(() => fixture.isIdle);
  fixture.stop();
});

describe("a body", () => {
  test("is not read faster than the client takes it", async () => {
    await start();
    let written = 0;
    let full = false;
    await fixture.startPod((_, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!response.write(chunk)) {
            full = true;
            response.once("drain", more);
            return;
          }
        }
        response.end();
      };
      more();
    });
    const request = http.get({ port: fixture.port, host: "127.0.0.1", agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await until(() => full);
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(written < 48 * 1024 * 1024, `${written} bytes for a client that reads nothing`);
    let read = 0;
    for await (const chunk of response) read += (chunk as Buffer).length;
    assert.equal(read, 64 * 1024 * 1024);
  });

  test("is not taken faster than the upstream reads it", async () => {
    await start();
    const reading = Promise.withResolvers<http.IncomingMessage>();
    await fixture.startPod((request, response) => {
      reading.resolve(request);
      let bytes = 0;
      request.on("end", () => response.end(String(bytes)));
      request.pause();
      request.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      request.pause();
    });
    const total = 64 * 1024 * 1024;
    const { request, sent } = upload(total);
    const upstream = await reading.promise;
    let before = -1;
    while (before !== sent()) {
      before = sent();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(sent() < 48 * 1024 * 1024, `${sent()} bytes for an upstream that reads nothing`);
    upstream.resume();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.setEncoding("utf8");
    assert.deepEqual(await once(response, "data"), [String(total)]);
  });

  test("has its trailers with it, both ways", async () => {
    await start();
    await fixture.startPod((request, response) => {
      request.resume();
      request.on("end", () => {
        response.writeHead(200, { trailer: "x-sum" });
        response.write("body");
        response.addTrailers({ "x-sum": request.trailers["x-in"] ?? "none" });
        response.end();
      });
    });
    const request = http.request({
      port: fixture.port,
      host: "127.0.0.1",
      agent: false,
      method: "POST",
      headers: { trailer: "x-in", te: "trailers" },
    });
    request.write("hello");
    request.addTrailers({ "x-in": "5" });
    request.end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.resume();
    await once(response, "end");
    assert.equal(response.trailers["x-sum"], "5");
  });
});

/** A request whose body is so long, sent as fast as it is taken. */
function upload(total: number): { request: http.ClientRequest; sent: () => number } {
  const options = { port: fixture.port, host: "127.0.0.1", agent: false, method: "PUT" };
  const request = http.request(options);
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const send = (): void => {
    while (sent < total) {
      sent += chunk.length;
      if (!request.write(chunk)) {
        request.once("drain", send);
        return;
      }
    }
    request.end();
  };
  send();
  return { request, sent: () => sent };
}

test("informational responses pass, and 100 comes from the upstream", async () => {
  await start();
  const server = http.createServer();
  server.on("checkContinue", (request, response) => {
    response.writeEarlyHints({ link: "</a>; rel=preload" });
    response.writeContinue();
    request.pipe(response);
  });
  await fixture.startServer(server);
  const request = http.request({
    port: fixture.port,
    host: "127.0.0.1",
    agent: false,
    method: "POST",
    headers: { expect: "100-continue", "content-length": "5" },
  });
  const informed: number[] = [];
  request.on("information", ({ statusCode }) => informed.push(statusCode));
  request.on("continue", () => request.end("hello"));
  request.flushHeaders();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.setEncoding("utf8");
  assert.deepEqual(await once(response, "data"), ["hello"]);
  assert.deepEqual(informed, [103, 100]);
});

test("a response before the end of the request arrives whole", async () => {
  await start();
  await fixture.startPod((_, response) => void response.writeHead(413).end("too much"));
  const request = http.request({
    port: fixture.port,
    host: "127.0.0.1",
    agent: false,
    method: "POST",
  });
  request.on("error", () => undefined);
  request.write("x".repeat(100_000));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.setEncoding("utf8");
  assert.deepEqual(await once(response, "data"), ["too much"]);
  request.destroy();
});

describe("an upgrade", () => {
  function upgrading(): net.Server {
    const server = http.createServer((_, response) => response.writeHead(400).end("no"));
    server.on("upgrade", (request, socket) => {
      const protocol = request.headers.upgrade;
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${protocol}\r\nconnection: upgrade\r\n\r\n`,
      );
      socket.pipe(socket);
    });
    return server;
  }

  async function upgrade(): Promise<{ status: number; socket: net.Socket }> {
    const request = http.request({
      port: fixture.port,
      host: "127.0.0.1",
      agent: false,
      headers: { connection: "upgrade", upgrade: "websocket" },
    });
    request.end();
    const refused = once(request, "response").then(([{ statusCode }]) => {
      assert.fail(`answered ${statusCode}`);
    });
    const [response, socket] = await Promise.race([once(request, "upgrade"), refused]);
    return { status: response.statusCode, socket };
  }

  test("becomes a tunnel both ways, with an end for each, and no timeout", async () => {
    await start();
    // Long enough for the upgrade itself on a busy machine.
    fixture.route({ timeoutMs: 2_000 });
    await fixture.startServer(upgrading());
    const { status, socket } = await upgrade();
    assert.equal(status, 101);
    socket.setEncoding("utf8");
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    socket.write("hello");
    assert.deepEqual(await once(socket, "data"), ["hello"]);
    socket.end("bye");
    assert.deepEqual(await once(socket, "data"), ["bye"]);
    await once(socket, "end");
    const record = await fixture.record();
    assert.deepEqual([record.status, record.upgraded, record.flags], [101, true, []]);
    assert.deepEqual([record.requestBytes, record.responseBytes], [8, 8]);
  });

  test("ends at the upstream when the client is gone", async () => {
    await start();
    const server = upgrading();
    const gone = Promise.withResolvers<void>();
    server.on("connection", (socket) => socket.on("close", () => gone.resolve()));
    await fixture.startServer(server);
    const { socket } = await upgrade();
    socket.resetAndDestroy();
    await gone.promise;
  });

  test("that the upstream refuses is an ordinary response", async () => {
    await start();
    const answer = (_: http.IncomingMessage, response: http.ServerResponse): void => {
      response.writeHead(400).end("no");
    };
    await fixture.startPod(answer);
    const headers = { connection: "upgrade", upgrade: "websocket" };
    assert.equal((await call(fixture.port, { headers })).body, "no");
  });

  test("that nobody asked for is an error of the upstream", async () => {
    await start();
    const head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    await fixture.startServer(
      net.createServer((socket) => void socket.on("data", () => socket.write(head))),
    );
    assert.equal((await call(fixture.port)).status, 502);
  });
});

describe("a mirror", () => {
  test("gets a copy with another host, and its answer is nobody's", async () => {
    await start();
    const copied = Promise.withResolvers<readonly [string, string]>();
    const pod = await fixture.startPod((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk;
      });
      request.on("end", () => {
        const host = request.headers.host ?? "";
        if (host.includes("-shadow")) copied.resolve([host, body]);
        response.writeHead(host.includes("-shadow") ? 500 : 200).end("answer");
      });
    });
    assert.ok(pod);
    const backend = { namespace: "shop", hostname: API, port: 80 };
    fixture.route({ mirrors: [{ backend, percent: 100 }], backends: [toApi()] });
    const body = "y".repeat(5_000);
    const headers = { host: "api.shop:8080" };
    const answer = await call(fixture.port, { method: "POST", headers, body });
    assert.deepEqual([answer.status, answer.body], [200, "answer"]);
    assert.deepEqual(await copied.promise, ["api.shop-shadow:8080", body]);
  });

  test("that is not there does no harm", async () => {
    await start();
    await fixture.startPod((_, response) => void response.end("answer"));
    const backend = { namespace: "shop", hostname: "nobody", port: 80 };
    fixture.route({ mirrors: [{ backend, percent: 100 }] });
    assert.equal((await call(fixture.port, { method: "POST", body: "x" })).body, "answer");
  });
});
