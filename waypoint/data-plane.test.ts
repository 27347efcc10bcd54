/** Requests through a whole waypoint: HBONE in, HBONE out, on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2, { type ClientHttp2Stream } from "node:http2";
import type net from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { connectHbone, createTestCa, issueLeaf } from "#test/support/hbone-peer.ts";
import { plainService, type RunningPod, WaypointFixture } from "./waypoint-fixture.ts";

const WEB = plainService("web", "10.96.0.1");
const GRPC = plainService("grpc", "10.96.0.2", { ports: [{ port: 80, protocol: "auto" }] });
const EMPTY = plainService("empty", "10.96.0.3");

/** Says what came, as JSON. */
const app = http.createServer(async (request, response) => {
  const { method, url, headers } = request;
  const body = await text(request);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ method, url, headers, body }));
});
// A connection that is idle while this machine is busy is not for the application to close: a POST
// sent just then is lost, and is rightly not sent again.
app.keepAliveTimeout = 0;
const app2 = http2.createServer(async (request, response) => {
  response.end(`${request.httpVersion} ${request.method} ${request.url} ${await text(request)}`);
});

interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** One request on a connection through the waypoint, which goes on. */
async function ask(stream: ClientHttp2Stream, options: http.RequestOptions, body = "") {
  const request = http.request({
    createConnection: () => stream as unknown as net.Socket,
    ...options,
    headers: { host: "web", ...options.headers },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const reply: Reply = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: await text(response),
  };
  return reply;
}

describe("a waypoint", () => {
  let fixture: WaypointFixture;
  let web: RunningPod;
  let slowPod: RunningPod;
  before(async () => {
    fixture = await WaypointFixture.start();
    for (const config of [WEB, GRPC, EMPTY]) await fixture.addService(config);
    web = await fixture.startPod("web", [WEB], (socket) => app.emit("connection", socket));
    slowPod = await fixture.startPod("grpc", [GRPC], (socket) => app2.emit("connection", socket));
  });
  after(() => fixture.stop());

  test("carries HTTP/1.1 from a tunnel to an endpoint's tunnel", async () => {
    const { status, stream } = await fixture.connect("10.96.0.1:80");
    assert.equal(status, 200);
    const reply = await ask(stream, { method: "POST", path: "/a?b=c" }, "hello");
    assert.equal(reply.status, 200);
    const seen = JSON.parse(reply.body);
    assert.equal(seen.method, "POST");
    assert.equal(seen.url, "/a?b=c");
    assert.equal(seen.body, "hello");
    assert.equal(seen.headers.host, "web");
    assert.ok(seen.headers["x-request-id"]);
    assert.equal(web.hbone.tunnels[0]?.clientUri, fixture.identity.uri);
    const [record] = await requestsOf(fixture, 1);
    assert.equal(record?.status, 200);
    assert.equal(record?.context.downstream.sourceWorkload?.name, "client");
    assert.equal(record?.endpoint?.workload.name, "web");
  });

  test("carries HTTP/2 by prior knowledge where the port does not say what it carries", async () => {
    const { stream } = await fixture.connect("10.96.0.2:80");
    const session = http2.connect("http://grpc", { createConnection: () => stream });
    const request = session.request({ ":method": "POST", ":path": "/x" });
    request.end("hi");
    assert.equal(await text(request), "2.0 POST /x hi");
    session.close();
    await requestsOf(fixture, 1);
  });

  test("answers itself where there is nobody to ask, and lets the connection go on", async () => {
    const { stream } = await fixture.connect("10.96.0.3:80");
    const reply = await ask(stream, { path: "/" });
    assert.equal(reply.status, 503);
    const [record] = await requestsOf(fixture, 1);
    assert.equal(record?.reason, "no-healthy-upstream");
  });

  test("loses nobody while its certificate is rotated, and uses the new one from then on", async () => {
    const { stream } = await fixture.connect("10.96.0.1:80");
    const arrived = once(app, "request");
    const first = http.request({
      createConnection: () => stream as unknown as net.Socket,
      headers: { host: "web" },
      method: "POST",
      path: "/slow",
    });
    first.write("part one, ");
    await arrived;
    const before = web.hbone.tunnels.length;
    const used = serialOf(web);
    fixture.rotate();
    first.end("part two");
    const [response] = (await once(first, "response")) as [http.IncomingMessage];
    assert.equal(JSON.parse(await text(response)).body, "part one, part two");
    const again = await fixture.connect("10.96.0.1:80");
    assert.equal((await ask(again.stream, { path: "/" })).status, 200);
    assert.equal(web.hbone.tunnels.length, before + 1);
    assert.notEqual(serialOf(web), used);
    await requestsOf(fixture, 2);
  });

  test("uses no tunnel that was on its way while its certificate was rotated", async () => {
    const BUSY = plainService("busy", "10.96.0.4");
    await fixture.addService(BUSY);
    const busy = await fixture.startPod("busy", [BUSY], (socket) => app.emit("connection", socket));
    const { hbone } = busy;
    const accept = hbone.accept.bind(hbone);
    hbone.accept = (raw) => {
      hbone.accept = accept;
      fixture.rotate();
      accept(raw);
    };
    const { stream } = await fixture.connect("10.96.0.4:80");
    assert.equal((await ask(stream, { path: "/" })).status, 200);
    assert.deepEqual(
      hbone.tunnels.map(({ streams }) => streams),
      [0, 1],
    );
    await requestsOf(fixture, 1);
  });

  test("goes to a pod by a tunnel of its own time: one that was gone is called anew", async () => {
    const { stream } = await fixture.connect("10.96.0.1:80");
    assert.equal((await ask(stream, { path: "/" })).status, 200);
    const before = web.hbone.tunnels.length;
    fixture.removeWorkload(web.workload);
    const { stream: meanwhile } = await fixture.connect("10.96.0.1:80");
    assert.equal((await ask(meanwhile, { path: "/" })).status, 503);
    fixture.addWorkload(web.workload);
    const { stream: again } = await fixture.connect("10.96.0.1:80");
    assert.equal((await ask(again, { path: "/" })).status, 200);
    assert.equal(web.hbone.tunnels.length, before + 1);
    await requestsOf(fixture, 3);
  });

  test("refuses a client without a certificate of the mesh", async () => {
    const stranger = issueLeaf(createTestCa("another"), { namespace: "shop", serviceAccount: "x" });
    const foreign = issueLeaf(fixture.ca, {
      ...{ trustDomain: "elsewhere.local", namespace: "shop", serviceAccount: "client" },
    });
    const { port } = fixture;
    for (const certificate of [stranger, foreign]) {
      await assert.rejects(connectHbone({ host: "127.0.0.1", port, certificate }));
    }
    await assert.rejects(connectHbone({ host: "127.0.0.1", port }));
    await reached(() => fixture.refusals.length >= 3);
  });

  test("serves HTTP also to a client that was slow to speak, whatever the server does", async () => {
    slowPod.connects.length = 0;
    const { stream } = await fixture.connect("10.96.0.2:80");
    await reached(() => slowPod.connects.length > 0);
    const session = http2.connect("http://grpc", { createConnection: () => stream });
    const request = session.request({ ":path": "/late" });
    assert.match(await text(request), /^2.0 GET \/late/);
    session.close();
    await requestsOf(fixture, 1);
  });

  test("holds requests to the configuration as it is when they come", async () => {
    const { stream } = await fixture.connect("10.96.0.1:80");
    let answers = "";
    stream.on("data", (chunk: Buffer) => {
      answers += chunk;
    });
    const statusLines = (): readonly string[] => answers.match(/HTTP\/1\.1 \d+/g) ?? [];
    const again = async (): Promise<string | undefined> => {
      const before = statusLines().length;
      stream.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n");
      await reached(() => statusLines().length > before);
      await requestsOf(fixture, 1);
      return statusLines().at(-1);
    };
    assert.equal(await again(), "HTTP/1.1 200");
    const origin = { kind: "HTTPRoute", namespace: "shop", name: "gone", rule: 0 };
    const gone = {
      origin,
      matches: [],
      mirrors: [],
      backends: [],
      directResponse: { status: 410, body: "gone", headers: [] },
    };
    const http410 = { precedence: "specificity", rules: [gone] } as const;
    await fixture.set({ ...WEB, ports: [{ port: 80, protocol: "http", http: http410 }] });
    assert.equal(await again(), "HTTP/1.1 410");
    await fixture.set(WEB);
    assert.equal(await again(), "HTTP/1.1 200");
  });
});

/** Of the certificate that the waypoint showed to a pod last. */
function serialOf({ hbone }: RunningPod): string {
  const serial = hbone.tunnels.at(-1)?.socket.getPeerX509Certificate()?.serialNumber;
  assert.ok(serial);
  return serial;
}

async function reached(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Resolves once there are so many. */
async function requestsOf(fixture: WaypointFixture, count: number) {
  await reached(() => fixture.requests.length >= count);
  return fixture.requests.splice(0);
}
