import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import { afterEach, describe, test } from "node:test";
import { API, ProxyFixture, type ProxyOptions, toApi } from "../proxy/proxy-fixture.ts";
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
    await until(() => fixture.records.some(({ detail }) => /no subset v2/.test(detail ?? "")));
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
    const isWhy = ({ reason, detail }: (typeof fixture.records)[number]) =>
      reason === "invalid-backend" && detail === "no such service";
    await until(() => fixture.records.some(isWhy));
  });
});

describe("an endpoint", () => {
  test("that goes gets no further request, and its idle connections close", async () => {
    await start();
    const closed = Promise.withResolvers<void>();
    const server = http.createServer(named("a"));
    server.keepAliveTimeout = 60_000;
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
        // Time enough to see that it is out, on a busy machine.
        baseEjectionMs: 2_000,
        maxEjectionPercent: 100,
        minHealthPercent: 0,
      },
    });
    await bodies(4);
    assert.deepEqual([...(await bodies(4))], [["b", 4]]);
    well = true;
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
    server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
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
    server.on("stream", (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 200 });
      stream.end("two");
    });
    await fixture.startServer(server);
    assert.equal((await call(fixture.port)).body, "two");
  });
});

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

describe("endpoints that the mesh does not list", () => {
  test("are the address that was asked for, where the service passes through", async () => {
    await start();
    const pod = await fixture.startPod(named("asked for"));
    fixture.removePod(pod);
    fixture.policy({ loadBalancer: { kind: "passthrough" } });
    const [host = ""] = pod.addresses;
    const port = pod.services.get(`shop/${API}`)?.[0]?.targetPort ?? 0;
    fixture.destination = { host, port };
    assert.equal((await call(fixture.port)).body, "asked for");
    const { endpoint } = await fixture.record();
    assert.deepEqual(endpoint?.address, { ip: host, port });
    assert.match(endpoint?.workload.uid ?? "", /^dynamic\/\//);
  });
});
