/** Clients that mean harm, or only leave, against a whole waypoint on loopback. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import http from "node:http";
import http2, { type ClientHttp2Stream } from "node:http2";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { deny } from "./filter/authorization/rule-fixtures.ts";
import { plainService, type RunningPod, WaypointFixture } from "./waypoint-fixture.ts";

const WEB = plainService("web", "10.96.0.1");
const SECRET = plainService("secret", "10.96.0.2", {
  policies: { requestAuthentications: [], authorizations: deny({}), rateLimits: [] },
});
const MODERN = plainService("modern", "10.96.0.3", { ports: [{ port: 80, protocol: "http2" }] });

/** Requests that an app has and has not answered yet, and where each request came. */
let underWay = 0;
let served: string[] = [];
type Handler = (
  request: { readonly url?: string | undefined },
  response: { on(event: "close", listener: () => void): unknown; end(text: string): unknown },
) => void;
const appOf =
  (name: string): Handler =>
  ({ url }, response) => {
    underWay++;
    served.push(name);
    response.on("close", () => {
      underWay--;
    });
    if (url !== "/hang") response.end(`${name}.`);
  };
const web = http.createServer(appOf("web"));
const secret = http.createServer(appOf("secret"));
const modern = http2.createServer(appOf("modern"));

const HANG = "GET /hang HTTP/1.1\r\nHost: web\r\n\r\n";

async function reached(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, what);
    await sleep(10);
  }
}

/** Everything that comes, to the pattern. */
async function until(stream: ClientHttp2Stream, pattern: RegExp): Promise<string> {
  let text = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (pattern.test(text)) break;
  }
  return text;
}

describe("a waypoint under attack", () => {
  let fixture: WaypointFixture;
  let pod: RunningPod;
  before(async () => {
    fixture = await WaypointFixture.start();
    for (const config of [WEB, SECRET, MODERN]) await fixture.addService(config);
    pod = await fixture.startPod("web", [WEB], (socket) => web.emit("connection", socket));
    await fixture.startPod("secret", [SECRET], (socket) => secret.emit("connection", socket));
    await fixture.startPod("modern", [MODERN], (socket) => modern.emit("connection", socket));
  });
  after(() => fixture.stop());

  test("a client that leaves by FIN while it waits lets the server go", async () => {
    const { stream } = await fixture.connect("10.96.0.1:80");
    stream.write(HANG);
    await reached(() => underWay === 1, "the request");
    stream.end();
    await reached(() => underWay === 0, "the server is let go");

    const { stream: second } = await fixture.connect("10.96.0.3:80");
    const session = http2.connect("http://modern", { createConnection: () => second });
    session.on("error", () => undefined);
    session.request({ ":path": "/hang" }).on("error", () => undefined);
    await reached(() => underWay === 1, "the request over HTTP/2");
    second.end();
    await reached(() => underWay === 0, "the server is let go over HTTP/2");
  });

  test("what CONNECT asked for decides, whatever Host says: no policy is passed by", async () => {
    served = [];
    const ask = async (authority: string, request: string) => {
      const { stream } = await fixture.connect(authority);
      stream.write(request);
      const text = await until(stream, /\.$|denied|bad request|\r\n\r\n$/);
      stream.close();
      return Number(text.slice(9, 12));
    };
    const hosts = ["secret", SECRET.hostname, "10.96.0.2", "10.96.0.2:80"];
    for (const host of hosts) {
      assert.equal(await ask("10.96.0.1:80", `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 200);
      const absolute = `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
      assert.equal(await ask("10.96.0.1:80", absolute), 200);
    }
    for (const host of ["web", WEB.hostname, "10.96.0.1"]) {
      assert.equal(await ask("10.96.0.2:80", `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`), 403);
    }
    const two = `GET http://web/ HTTP/1.1\r\nHost: ${SECRET.hostname}\r\n\r\n`;
    assert.equal(await ask("10.96.0.1:80", two), 400);
    assert.deepEqual([...new Set(served)], ["web"]);
  });

  test("a flood of resets ends its own connection, and nobody is kept busy by it", async () => {
    const { stream } = await fixture.connect("10.96.0.3:80");
    const session = http2.connect("http://modern", { createConnection: () => stream });
    session.on("error", () => undefined);
    let sent = 0;
    while (!session.closed && !session.destroyed && sent < 50_000) {
      const request = session.request({ ":path": "/hang" });
      request.on("error", () => undefined);
      request.close(http2.constants.NGHTTP2_CANCEL);
      if (++sent % 200 === 0) await sleep(1);
    }
    assert.ok(sent < 50_000, "the connection was ended");
    await reached(() => underWay === 0, "nothing is under way");
    const { stream: next } = await fixture.connect("10.96.0.1:80");
    next.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    assert.match(await until(next, /web\.$/), /^HTTP\/1.1 200/);
    next.close();
  });

  test("of a thousand clients that hang and leave nothing is left", async () => {
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    await reached(() => fixture.dataPlane.connections.size === 0, "quiet");
    const before = descriptors();
    const sessions = await Promise.all(Array.from({ length: 10 }, () => fixture.dial()));
    const calls = sessions.flatMap((session) =>
      Array.from({ length: 100 }, async () => {
        const { stream } = await fixture.connect("10.96.0.1:80", { session });
        stream.write(HANG);
        return stream;
      }),
    );
    const streams = await Promise.all(calls);
    await reached(() => underWay > 100, "requests at the server");
    for (const stream of streams) stream.end();
    await reached(() => underWay === 0, "the server is let go");
    for (const session of sessions) session.destroy();
    await reached(() => fixture.dataPlane.connections.size === 0, "no connection stands");
    // What was opened for them may be used again, while there is somebody at its other end.
    fixture.removeWorkload(pod.workload);
    await reached(() => descriptors() < before + 40, `back to ${before} descriptors`);
    assert.deepEqual(fixture.internalErrors, []);
  });
});
