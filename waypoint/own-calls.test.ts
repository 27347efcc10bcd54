/** What the waypoint itself asks of services goes over the mesh: HBONE, with its identity. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2, { type ServerHttp2Stream } from "node:http2";
import type net from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { createJwksFetch } from "./filter/jwt/jwks-fetch.ts";
import { jwks, testKey } from "./filter/jwt/token-fixtures.ts";
import { jwtRule } from "./filter/request-fixture.ts";
import type { CallService } from "./filter/service-caller.ts";
import { PROXY, record } from "./telemetry/record-fixtures.ts";
import { makeResource, makeSpan } from "./telemetry/span.ts";
import { SpanExporter } from "./telemetry/span-exporter.ts";
import { plainService, type RunningPod, WaypointFixture } from "./waypoint-fixture.ts";

const WEB = plainService("web", "10.96.0.1");
const KEYS = plainService("keys", "10.96.0.2");
const COLLECTOR = plainService("otel", "10.96.0.3");
const GRPC_COLLECTOR = plainService("otel-grpc", "10.96.0.4");

const IDS = {
  ...{ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" },
  ...{ parentSpanId: "0123456789abcdef", sampled: true },
};

let fixture: WaypointFixture;
let asked: string[] = [];
let keySet = { status: 200, body: "" };
const app = http.createServer((_, response) => response.end("web"));
const keys = http.createServer(({ method, url, headers }, response) => {
  asked.push(`${method} ${headers.host} ${url}`);
  response.writeHead(keySet.status, { location: "http://keys.shop/elsewhere" }).end(keySet.body);
});
const collector = http.createServer((request, response) => {
  asked.push(`${request.method} ${request.headers.host} ${request.url}`);
  request.resume().on("end", () => response.end());
});
const grpcCollector = http2.createServer();
grpcCollector.on("stream", (stream: ServerHttp2Stream, headers) => {
  asked.push(`${headers[":method"]} ${headers[":authority"]} ${headers[":path"]}`);
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.resume().on("end", () => stream.end(Buffer.alloc(5)));
});

const pods = new Map<string, RunningPod>();

before(async () => {
  fixture = await WaypointFixture.start();
  const servers = { web: app, keys, otel: collector, "otel-grpc": grpcCollector };
  for (const config of [WEB, KEYS, COLLECTOR, GRPC_COLLECTOR]) {
    const server = servers[config.serviceName as keyof typeof servers];
    await fixture.addService(config);
    const carry = (socket: net.Socket) => server.emit("connection", socket);
    pods.set(config.serviceName, await fixture.startPod(config.serviceName, [config], carry));
  }
});
after(() => fixture.stop());
beforeEach(() => {
  asked = [];
});

/** Whose identities the service's pod saw. */
const callers = (name: string) =>
  new Set(pods.get(name)?.hbone.tunnels.map(({ clientUri }) => clientUri));

function caller(): CallService {
  assert.ok(fixture.call);
  return fixture.call;
}

for (const [protocol, { hostname }, request] of [
  ["http", COLLECTOR, "/v1/traces"],
  ["grpc", GRPC_COLLECTOR, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"],
] as const) {
  test(`spans reach a collector that takes nothing but HBONE, over ${protocol}`, async (t) => {
    const dropped: string[] = [];
    const onDropped = (_: number, why: string) => void dropped.push(why);
    const spans = new SpanExporter({ call: caller(), onDropped });
    t.after(() => spans.close());
    const span = makeSpan(record(), IDS, {}, PROXY, makeResource(PROXY));
    spans.add({ protocol, namespace: "shop", hostname, port: 80 }, span);
    await spans.flush();
    assert.deepEqual(dropped, []);
    assert.deepEqual(asked, [`POST ${hostname}:80 ${request}`]);
    assert.deepEqual(callers(hostname.split(".")[0] ?? ""), new Set([fixture.identity.uri]));
  });
}

async function ask(token: string): Promise<number> {
  const { stream } = await fixture.connect("10.96.0.1:80");
  const createConnection = () => stream as unknown as net.Socket;
  const headers = { host: "web", authorization: `Bearer ${token}` };
  const request = http.request({ createConnection, headers });
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode ?? 0;
}

test("keys of a server in the mesh are fetched over it, without following redirects", async () => {
  const key = await testKey("one");
  const exp = Math.floor(Date.now() / 1000) + 3_600;
  const token = await key.sign({ iss: "https://issuer", sub: "a", exp });
  const trusting = (jwksUri: string) => {
    const rules = [jwtRule({ issuer: "https://issuer", jwksUri })];
    const requestAuthentications = [{ key: "shop/jwt", rules }];
    const policies = { requestAuthentications, authorizations: [], rateLimits: [] };
    return fixture.set({ ...WEB, policies });
  };
  keySet = { status: 302, body: "" };
  await trusting("http://keys.shop/moved");
  assert.equal(await ask(token), 401);
  keySet = { status: 200, body: jwks(key) };
  for (const host of ["keys.shop.svc.cluster.local", "keys.shop.svc", "keys.shop:80"]) {
    await trusting(`http://${host}/keys`);
    assert.equal(await ask(token), 200, host);
  }
  assert.deepEqual(asked, [
    "GET keys.shop /moved",
    "GET keys.shop.svc.cluster.local /keys",
    "GET keys.shop.svc /keys",
    "GET keys.shop /keys",
  ]);
  assert.deepEqual(callers("keys"), new Set([fixture.identity.uri]));
  await assert.rejects(createJwksFetch()("http://keys.shop/keys", 5_000), {
    code: "JWKS_FETCH_FAILED",
  });
});
