import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, describe, test } from "node:test";
import { API, ProxyFixture, type ProxyOptions } from "../proxy/proxy-fixture.ts";
import { call, until } from "../proxy/test-client.ts";

let fixture: ProxyFixture;
async function start(options: ProxyOptions = {}): Promise<ProxyFixture> {
  fixture = await ProxyFixture.start(options);
  return fixture;
}
afterEach(async () => {
  await until(() => fixture.isIdle);
  fixture.stop();
});

/** Holds requests until the test answers them. */
function holding(): { listener: http.RequestListener; held: http.ServerResponse[] } {
  const held: http.ServerResponse[] = [];
  return { held, listener: (_, response) => void held.push(response) };
}

describe("a bound of a backend", () => {
  test("on connections makes requests wait, on waiting ones refuses them", async () => {
    await start();
    const { held, listener } = holding();
    await fixture.startPod(listener);
    fixture.policy({ connectionPool: { maxConnections: 1, maxPendingRequests: 1 } });
    const first = call(fixture.port);
    await until(() => held.length === 1);
    const second = call(fixture.port);
    await until(() => [...fixture.upstreams.backends()][0]?.circuit.pending === 1);
    const third = await call(fixture.port);
    assert.deepEqual([third.status, third.headers["x-envoy-overloaded"]], [503, "true"]);
    assert.deepEqual((await fixture.record()).flags, ["UO"]);
    held[0]?.end("first");
    assert.equal((await first).body, "first");
    await until(() => held.length === 2);
    held[1]?.end("second");
    assert.equal((await second).body, "second");
  });

  test("on requests per connection makes a new one", async () => {
    await start();
    let connections = 0;
    const server = http.createServer((_, response) => void response.end("ok"));
    server.on("connection", () => connections++);
    await fixture.startServer(server);
    fixture.policy({ connectionPool: { maxRequestsPerConnection: 2 } });
    for (let i = 0; i < 6; i++) {
      await call(fixture.port);
      await until(() => fixture.isIdle);
    }
    assert.equal(connections, 3);
  });

  test("does not count who left while waiting", async () => {
    await start();
    const { held, listener } = holding();
    await fixture.startPod(listener);
    fixture.policy({ connectionPool: { maxConnections: 1, maxPendingRequests: 1 } });
    const first = call(fixture.port);
    await until(() => held.length === 1);
    const waiting = http.get({ port: fixture.port, host: "127.0.0.1", agent: false });
    waiting.on("error", () => undefined);
    const circuit = [...fixture.upstreams.backends()][0]?.circuit;
    await until(() => circuit?.pending === 1);
    waiting.socket?.resetAndDestroy();
    await until(() => circuit?.pending === 0);
    held[0]?.end("first");
    await first;
    assert.equal(held.length, 1);
  });
});

test("leases are all given back after clients and upstreams have done their worst", async () => {
  await start();
  fixture.policy({ connectionPool: { maxConnections: 8, maxPendingRequests: 20 } });
  const moody = moods();
  for (let i = 0; i < 3; i++) await fixture.startPod(moody);
  fixture.addPod("127.0.3.250", 9);
  fixture.route({
    timeoutMs: 200,
    retry: { attempts: 2, conditions: ["5xx"], codes: [], backoffMs: 1, backoffMaxMs: 2 },
  });
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    for (let i = 0; i < 40; i++) await one(worker * 40 + i);
  });
  await Promise.all(workers);
  await until(() => fixture.isIdle);
  await until(() => fixture.records.length === 640);
  for (const { circuit } of fixture.upstreams.backends()) {
    assert.ok(circuit.connections <= 8, `${circuit.connections} connections`);
  }
});

/** Answers in one of five ways, in turn. */
function moods(): http.RequestListener {
  let count = 0;
  return (request, response) => {
    request.resume();
    request.on("error", () => undefined);
    switch (count++ % 5) {
      case 0:
        request.socket.resetAndDestroy();
        break;
      case 1:
        response.write("half", () => request.socket.destroy());
        break;
      case 2:
        setTimeout(() => response.writeHead(503).end("slow"), 20);
        break;
      default:
        response.end("ok");
    }
  };
}

/** Every fourth leaves early. */
async function one(i: number): Promise<void> {
  const method = i % 3 === 0 ? "POST" : "GET";
  const headers = { host: API };
  const request = http.request({
    port: fixture.port,
    host: "127.0.0.1",
    method,
    headers,
    agent: false,
  });
  const over = new Promise<void>((resolve) => request.on("close", () => resolve()));
  request.on("error", () => undefined);
  request.on("response", (response) => response.on("error", () => undefined).resume());
  if (i % 4 === 0) setTimeout(() => request.socket?.resetAndDestroy(), i % 30);
  request.end(method === "POST" ? "x".repeat(i * 50) : undefined);
  await over;
}

describe("the time to connect", () => {
  test("ends a try at an endpoint that never answers", async () => {
    await start({
      dial: ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () =>
            resolve({ status: 503, reason: "upstream-connect-failure", body: "" }),
          );
        }),
    });
    fixture.addPod("127.0.3.1", 9);
    fixture.policy({ connectionPool: { connectTimeoutMs: 20 } });
    assert.equal((await call(fixture.port)).status, 503);
    const { detail, flags } = await fixture.record();
    assert.match(detail ?? "", /no connection within 20 ms/);
    assert.deepEqual(flags, ["UF", "URX"]);
  });

  test("does not end a connection that was made", async () => {
    await start();
    await fixture.startPod((_, response) => void setTimeout(() => response.end("late"), 1_000));
    // Long enough for loopback on a busy machine.
    fixture.policy({ connectionPool: { connectTimeoutMs: 500 } });
    assert.equal((await call(fixture.port)).body, "late");
  });
});
