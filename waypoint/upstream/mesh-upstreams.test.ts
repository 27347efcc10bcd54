import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import { afterEach, describe, test } from "node:test";
import {
  API,
  call,
  ProxyFixture,
  type ProxyOptions,
  toApi,
  until,
} from "../proxy/proxy-fixture.ts";

let fixture: ProxyFixture;
async function start(options: ProxyOptions = {}): Promise<ProxyFixture> {
  fixture = await ProxyFixture.start(options);
  return fixture;
}
afterEach(async () => {
  await until(() => fixture.isIdle);
  fixture.stop();
});

const named = (name: string): http.RequestListener => {
  return (_, response) => void response.end(name);
};

/** Holds requests until `release`. */
function holding(): { listener: http.RequestListener; held: http.ServerResponse[] } {
  const held: http.ServerResponse[] = [];
  return { held, listener: (_, response) => void held.push(response) };
}

async function bodies(count: number, options = {}): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const { body } = await call(fixture.port, options);
    counts.set(body, (counts.get(body) ?? 0) + 1);
  }
  return counts;
}

describe("requests are balanced", () => {
  test("one by one, though they come on one connection", async () => {
    await start();
    fixture.policy({ loadBalancer: { kind: "round-robin" } });
    for (const name of ["a", "b", "c"]) await fixture.startPod(named(name));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.deepEqual([...(await bodies(30, { agent })).values()], [10, 10, 10]);
    agent.destroy();
  });

  test("between the endpoints of a subset only", async () => {
    await start();
    const [a] = [await fixture.startPod(named("a")), await fixture.startPod(named("b"))];
    const workloads = [a?.uid ?? ""];
    fixture.backend = { ...fixture.backend, subsets: { v1: { workloads, policy: {} } } };
    fixture.route({ backends: [toApi(1, "v1")] });
    assert.deepEqual([...(await bodies(10))], [["a", 10]]);
    fixture.route({ backends: [toApi(1, "v2")] });
    assert.equal((await call(fixture.port)).status, 503);
    assert.match(fixture.records.at(-1)?.detail ?? "", /no subset v2/);
  });

  test("by a header that stays with its endpoint", async () => {
    await start();
    const hash = { kind: "header", name: "x-user" } as const;
    fixture.policy({ loadBalancer: { kind: "consistent-hash", hash } });
    for (const name of ["a", "b", "c", "d"]) await fixture.startPod(named(name));
    const seen = new Set<string>();
    for (let user = 0; user < 12; user++) {
      const counts = await bodies(4, { headers: { "x-user": `user-${user}` } });
      assert.equal(counts.size, 1);
      for (const name of counts.keys()) seen.add(name);
    }
    assert.ok(seen.size > 1);
  });

  test("by a cookie that the waypoint gives and the client brings back", async () => {
    await start();
    const hash = {
      kind: "cookie",
      name: "session",
      cookieTtlSeconds: 60,
      cookiePath: "/",
    } as const;
    fixture.policy({ loadBalancer: { kind: "consistent-hash", hash } });
    for (const name of ["a", "b", "c", "d"]) await fixture.startPod(named(name));
    const first = await call(fixture.port);
    const [given = ""] = first.headers["set-cookie"] ?? [];
    assert.match(given, /^session=[0-9a-f]{16}; Max-Age=60; Path=\/; HttpOnly$/);
    const headers = { cookie: `other=1; ${given.split(";")[0]}` };
    assert.deepEqual([...(await bodies(8, { headers }))], [[first.body, 8]]);
    assert.equal((await call(fixture.port, { headers })).headers["set-cookie"], undefined);
  });

  test("by weight between backends", async () => {
    await start();
    const [a, b] = [await fixture.startPod(named("a")), await fixture.startPod(named("b"))];
    const subset = (uid: string) => ({ workloads: [uid], policy: {} });
    const subsets = { v1: subset(a.uid), v2: subset(b.uid) };
    fixture.backend = { ...fixture.backend, subsets };
    fixture.route({ backends: [toApi(90, "v1"), toApi(10, "v2")] });
    const counts = await bodies(1_000);
    // Six standard deviations of a binomial distribution.
    assert.ok(Math.abs((counts.get("b") ?? 0) - 100) < 57, `${counts.get("b")} of 1000`);
    fixture.route({ backends: [toApi(0, "v1"), toApi(0, "v2")] });
    assert.equal((await call(fixture.port)).status, 500);
    fixture.route({ backends: [{ weight: 1, invalid: "no such service" }] });
    assert.equal((await call(fixture.port)).status, 500);
    const record = fixture.records.at(-1);
    assert.deepEqual([record?.reason, record?.detail], ["invalid-backend", "no such service"]);
  });
});

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
    const server = http.createServer(named("ok"));
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

describe("an endpoint", () => {
  test("that goes gets no further request, and its idle connections close", async () => {
    await start();
    const closed = Promise.withResolvers<void>();
    const server = http.createServer(named("a"));
    server.on("connection", (socket) => socket.on("close", () => closed.resolve()));
    const a = await fixture.startServer(server);
    assert.equal((await call(fixture.port)).body, "a");
    await until(() => fixture.isIdle);
    fixture.removePod(a);
    await closed.promise;
    assert.equal((await call(fixture.port)).status, 503);
    await fixture.startPod(named("b"));
    assert.equal((await call(fixture.port)).body, "b");
  });

  test("that goes while it answers finishes", async () => {
    await start();
    const { held, listener } = holding();
    const pod = await fixture.startPod(listener);
    const answer = call(fixture.port);
    await until(() => held.length === 1);
    fixture.removePod(pod);
    await new Promise((resolve) => setTimeout(resolve, 20));
    held[0]?.end("whole");
    assert.equal((await answer).body, "whole");
  });

  test("that fails is ejected, and comes back when it is well", async () => {
    await start();
    let well = false;
    await fixture.startPod((_, response) => response.writeHead(well ? 200 : 500).end("a"));
    await fixture.startPod(named("b"));
    fixture.policy({
      loadBalancer: { kind: "round-robin" },
      outlierDetection: {
        consecutive5xx: 2,
        consecutiveGatewayErrors: 0,
        consecutiveLocalOriginFailures: 0,
        splitLocalOriginErrors: false,
        intervalMs: 20,
        baseEjectionMs: 300,
        maxEjectionPercent: 100,
        minHealthPercent: 0,
      },
    });
    await bodies(4);
    assert.deepEqual([...(await bodies(4))], [["b", 4]]);
    well = true;
    await until(
      () => [...(fixture.upstreams.backends().next().value?.hosts ?? [])].every(isIn),
      100,
    ).catch(() => undefined);
    const deadline = Date.now() + 20_000;
    let counts = await bodies(4);
    while (counts.get("a") !== 2 && Date.now() < deadline) counts = await bodies(4);
    assert.equal(counts.get("a"), 2);
  });

  test("without its configuration is not called: it may ask for TLS", async () => {
    await start();
    await fixture.startPod(named("a"));
    fixture.backend = { ...fixture.backend, hostname: "other" };
    const { backend } = fixture;
    Object.assign(fixture, { backend: undefined });
    assert.equal((await call(fixture.port)).status, 503);
    Object.assign(fixture, { backend });
    assert.equal((await call(fixture.port)).status, 200);
  });
});

describe("over HTTP/2", () => {
  test("requests of one client share a connection to the upstream, trailers included", async () => {
    await start({ client: "http2" });
    const sessions = new Set<unknown>();
    const server = http2.createServer();
    server.on("session", (session) => sessions.add(session));
    server.on("stream", (stream, headers) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "5" }));
      stream.end(`${headers[":path"]}`);
    });
    await fixture.startServer(server);
    const client = http2.connect(`http://127.0.0.1:${fixture.port}`);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => grpcCall(client, `/svc/${i}`)),
    );
    assert.deepEqual(answers.map(({ body }) => body).sort(), paths(20).sort());
    assert.ok(answers.every(({ status }) => status === "5"));
    assert.equal(sessions.size, 1);
    assert.equal((await fixture.record()).grpcStatus, 5);
    client.destroy();
  });

  test("the port's declaration decides what the upstream speaks", async () => {
    await start({ appProtocol: "http2" });
    const server = http2.createServer();
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("two");
    });
    await fixture.startServer(server);
    assert.equal((await call(fixture.port)).body, "two");
  });
});

test("leases are all given back after clients and upstreams have done their worst", async () => {
  await start();
  fixture.policy({ connectionPool: { maxConnections: 8, maxPendingRequests: 20 } });
  let count = 0;
  const moods: http.RequestListener = (request, response) => {
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
  for (let i = 0; i < 3; i++) await fixture.startPod(moods);
  fixture.addPod("127.0.3.250", 9);
  fixture.route({
    timeoutMs: 200,
    retry: { attempts: 2, conditions: ["5xx"], codes: [], backoffMs: 1, backoffMaxMs: 2 },
  });
  const one = async (i: number): Promise<void> => {
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
  };
  const workers = Array.from({ length: 16 }, async (_, worker) => {
    for (let i = 0; i < 40; i++) await one(worker * 40 + i);
  });
  await Promise.all(workers);
  await until(() => fixture.isIdle);
  assert.equal(fixture.records.length, 640);
  for (const { circuit } of fixture.upstreams.backends()) {
    assert.ok(circuit.connections <= 8, `${circuit.connections} connections`);
  }
});

const isIn = ({ health }: { readonly health: { readonly state: string } }): boolean =>
  health.state === "in";

function paths(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `/svc/${i}`);
}

async function grpcCall(
  client: http2.ClientHttp2Session,
  path: string,
): Promise<{ body: string; status: unknown }> {
  const stream = client.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
  });
  let status: unknown;
  stream.on("trailers", (trailers) => {
    status = trailers["grpc-status"];
  });
  stream.end("message");
  let body = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) body += chunk;
  return { body, status };
}
