import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterEach, describe, test } from "node:test";
import { ProxyFixture, type ProxyOptions, REFUSED } from "./proxy-fixture.ts";
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

describe("a request", () => {
  test("goes to an endpoint and its response comes back, with both bodies", async () => {
    await start();
    const pod = await fixture.startPod((request, response) => {
      request.pipe(
        response.writeHead(201, { "x-path": request.url, "x-host": request.headers.host }),
      );
    });
    const body = "x".repeat(200_000);
    const answer = await call(fixture.port, {
      method: "POST",
      path: "/a//b?c",
      headers: { host: "api:80", "x-envoy-retry-on": "5xx" },
      body,
    });
    assert.equal(answer.status, 201);
    assert.equal(answer.body, body);
    assert.equal(answer.headers["x-path"], "/a//b?c");
    assert.equal(answer.headers["x-host"], "api");
    const record = await fixture.record();
    assert.equal(record.status, 201);
    assert.deepEqual([record.requestBytes, record.responseBytes], [body.length, body.length]);
    assert.equal(record.endpoint?.workload.uid, pod.uid);
    assert.deepEqual([record.attempts, record.flags, record.reason], [1, [], undefined]);
    assert.equal(record.context.head.headers.has("x-envoy-retry-on"), false);
  });

  test("of many on one connection uses one connection to the upstream", async () => {
    await start();
    let connections = 0;
    const server = http.createServer((_, response) => void response.end("ok"));
    server.on("connection", () => connections++);
    await fixture.startServer(server);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++) {
      assert.equal((await call(fixture.port, { agent })).body, "ok");
    }
    agent.destroy();
    assert.equal(connections, 1);
    await until(() => fixture.records.length === 20);
  });

  test("that a stage refuses never leaves, and says why in its record", async () => {
    await start({ stages: [() => undefined, async () => REFUSED] });
    await fixture.startPod(() => assert.fail("nothing may arrive"));
    const answer = await call(fixture.port, { method: "POST", body: "secret" });
    assert.equal(answer.status, 403);
    assert.equal(answer.body, "denied by shop/deny");
    const record = await fixture.record();
    assert.equal(answer.headers["x-request-id"], record.context.id);
    assert.deepEqual([record.reason, record.detail], ["denied-by-policy", "shop/deny rule 0"]);
    assert.equal(record.attempts, 0);
  });

  test("is refused where a stage throws or rejects", async () => {
    let fails: () => never | Promise<never> = () => {
      throw new Error("broken");
    };
    await start({ stages: [() => fails()] });
    assert.equal((await call(fixture.port)).status, 500);
    fails = () => Promise.reject(new Error("broken"));
    assert.equal((await call(fixture.port)).status, 500);
    assert.equal((await fixture.record()).reason, "internal-error");
  });

  test("of gRPC that is refused gets a status of gRPC", async () => {
    await start({ stages: [() => ({ ...REFUSED, body: "näh: 100%" })] });
    const answer = await call(fixture.port, {
      method: "POST",
      headers: { "content-type": "application/grpc+proto" },
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["grpc-status"], "7");
    assert.equal(answer.headers["grpc-message"], "n%C3%A4h: 100%25");
    assert.equal((await fixture.record()).grpcStatus, 7);
  });

  test("of HEAD that is refused gets no body, but its length", async () => {
    await start({ stages: [() => REFUSED] });
    const answer = await call(fixture.port, { method: "HEAD" });
    assert.deepEqual([answer.status, answer.body], [403, ""]);
    assert.equal(answer.headers["content-length"], String(REFUSED.body.length));
  });

  test("without a route is answered with 404, without an endpoint with 503", async () => {
    await start();
    assert.equal((await call(fixture.port)).status, 503);
    const none = await fixture.record();
    assert.deepEqual([none.reason, none.flags], ["no-healthy-upstream", ["UH"]]);
    fixture.route({ matches: [{ method: { kind: "exact", value: "PUT" }, ...EMPTY_MATCH }] });
    assert.equal((await call(fixture.port)).status, 404);
    assert.deepEqual((await fixture.record()).flags, ["NR"]);
  });

  test("goes to the service itself where only other namespaces have routes", async () => {
    await start();
    await fixture.startPod((_, response) => void response.end("itself"));
    const consumerNamespace = "elsewhere";
    fixture.route({ consumerNamespace, directResponse: { status: 418, body: "", headers: [] } });
    assert.equal((await call(fixture.port)).status, 404);
    const [port] = fixture.service.ports;
    assert.ok(port?.http);
    const http = { ...port.http, onlyConsumers: true };
    fixture.service = { ...fixture.service, ports: [{ ...port, http }] };
    assert.equal((await call(fixture.port)).body, "itself");
  });

  test("to a HEAD or 204 leaves the connection to the upstream usable", async () => {
    await start();
    let connections = 0;
    const server = http.createServer((request, response) => {
      if (request.method === "HEAD") response.setHeader("content-length", "10");
      response.writeHead(request.method === "HEAD" ? 200 : 204).end();
    });
    server.on("connection", () => connections++);
    await fixture.startServer(server);
    for (const method of ["HEAD", "GET", "HEAD", "DELETE"]) {
      await call(fixture.port, { method });
      await until(() => fixture.isIdle);
    }
    assert.equal(connections, 1);
  });
});

describe("a client that leaves", () => {
  test("cancels the request at the upstream", async () => {
    await start();
    const gone = Promise.withResolvers<void>();
    await fixture.startPod((request) => {
      request.on("error", () => undefined);
      request.socket.on("close", () => gone.resolve());
      client.resetAndDestroy();
    });
    const client = net.connect(fixture.port, "127.0.0.1");
    client.on("error", () => undefined);
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await gone.promise;
    const record = await fixture.record();
    assert.deepEqual([record.status, record.flags, record.reason], [0, ["DC"], "client-left"]);
  });

  test("while the response comes cancels it, too", async () => {
    await start();
    const gone = Promise.withResolvers<void>();
    await fixture.startPod((request, response) => {
      request.socket.on("close", () => gone.resolve());
      response.write("part");
    });
    const request = http.get({ port: fixture.port, host: "127.0.0.1", agent: false });
    request.on("error", () => undefined);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.on("error", () => undefined);
    await once(response, "data");
    response.socket.resetAndDestroy();
    await gone.promise;
    const record = await fixture.record();
    assert.deepEqual([record.status, record.flags], [200, ["DC"]]);
  });
});

describe("an upstream that dies", () => {
  test("in the middle of a response resets the client", async () => {
    await start();
    await fixture.startPod((request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("half", () => request.socket.destroy());
    });
    await assert.rejects(call(fixture.port));
    const record = await fixture.record();
    assert.deepEqual([record.status, record.reason], [200, "upstream-reset"]);
    assert.deepEqual(record.flags, ["UC"]);
  });

  test("before it answers is answered with 503 for it", async () => {
    await start();
    await fixture.startPod((request) => request.socket.destroy());
    const answer = await call(fixture.port, { method: "POST", body: "x" });
    assert.equal(answer.status, 503);
    assert.equal((await fixture.record()).reason, "upstream-reset");
  });

  test("and sends nonsense is answered with 502", async () => {
    await start();
    await fixture.startServer(
      net.createServer((socket) => {
        socket.once("data", () => socket.end("NONSENSE\r\n\r\n"));
      }),
    );
    assert.equal((await call(fixture.port)).status, 502);
    assert.deepEqual((await fixture.record()).flags, ["UPE"]);
  });
});

const EMPTY_MATCH = { headers: [], queryParams: [], sourceNamespaces: [] };
