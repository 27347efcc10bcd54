/** What speaks through a waypoint, from pod to pod: every protocol of a service's ports. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

const MESSAGES = 100_000;

describe("through a waypoint", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start();
  });
  after(() => mesh?.stop());

  test("HTTP/1.1 passes: methods, bodies, HEAD, Expect, who asked", async () => {
    const address = (await mesh.cluster.pod("web/client")).status?.podIP ?? "?";
    const post = await mesh.ask("http://api.shop/a//b/%2F?x=1&y=%20", {
      options: ["-d", "x".repeat(5_000), "-H", "expect: 100-continue", "--path-as-is"],
    });
    assert.deepEqual([post.method, post.bytes], ["POST", 5_000]);
    assert.equal(post.headers["x-forwarded-for"], address);
    assert.equal(post.headers.host, "api.shop");
    const head = await mesh.curl("http://api.shop/", { options: ["--head"] });
    assert.deepEqual([head.status, head.body], [200, ""]);
    const put = await mesh.ask("http://api.shop/", {
      options: ["-X", "PUT", "-H", "transfer-encoding: chunked", "-d", "abc"],
    });
    assert.deepEqual([put.method, put.bytes], ["PUT", 3]);
  });

  test("a client cannot say who it is, nor leave its own hop's fields to the next", async () => {
    const forged = ["x-forwarded-client-cert: By=x;URI=spiffe://evil", "x-envoy-internal: true"];
    const { headers } = await mesh.ask("http://api.shop/", {
      options: [...forged, "connection: x-mine", "x-mine: 1"].flatMap((h) => ["-H", h]),
    });
    assert.equal(headers["x-forwarded-client-cert"], undefined);
    assert.equal(headers["x-envoy-internal"], undefined);
    assert.equal(headers["x-mine"], undefined);
  });

  test("requests of one connection are spread over the endpoints", async () => {
    const urls = Array.from({ length: 40 }, () => "http://api.shop/");
    const { stdout } = await mesh.cluster.exec("web/client", ["curl", "-sS", ...urls]);
    const names = new Set([...stdout.matchAll(/"name":"(api-v\d)"/g)].map(([, name]) => name));
    assert.deepEqual([...names].sort(), ["api-v1", "api-v2"]);
  });

  test("a client's connection is kept from one request to the next", async () => {
    const argv = ["curl", "-sS", "--verbose", "http://api.shop/", "http://api.shop/"];
    const { stdout, stderr } = await mesh.cluster.exec("web/client", argv);
    assert.equal(stdout.match(/"name":"api-v/g)?.length, 2, stderr);
    assert.match(stderr, /Re-using existing|Reusing existing/i);
  });

  for (const [port, how] of [
    [82, "where its port says so"],
    [84, "found out"],
    [80, "on a port for HTTP/1.1, to a server that speaks no other"],
  ] as const) {
    test(`HTTP/2 with prior knowledge passes, ${how}`, async () => {
      const { url } = await mesh.ask(`http://api.shop:${port}/x`, {
        options: ["--http2-prior-knowledge"],
      });
      assert.equal(url, "/x");
    });
  }

  test(`gRPC streams ${MESSAGES} messages both ways, in order, with its trailers`, async () => {
    const result = await mesh.talk(["grpc", "api.shop:83", String(MESSAGES)], 120_000);
    assert.deepEqual(
      [result.received, result.inOrder, result.code],
      [MESSAGES, true, 0],
      JSON.stringify(result),
    );
    const unary = result.unary as { reply: string; code: number; trailers: string };
    assert.deepEqual([unary.reply, unary.code], ["once", 0]);
    assert.match(unary.trailers, /^api-v/);
  });

  test("a WebSocket talks, and closes as it was closed", async () => {
    const result = await mesh.talk(["websocket", "ws://api.shop/chat", "500"]);
    assert.match(String(result.greeting), /hello from api-v\d for \/chat/);
    assert.deepEqual([result.echoed, result.code], [500, 1000]);
  });

  for (const [port, how] of [
    [90, "declared"],
    [91, "found out"],
  ] as const) {
    test(`a TCP server may speak first, ${how}`, async () => {
      const read = 'read -t 10 line <&3; echo "$line"';
      const script = `exec 3<>/dev/tcp/api.shop/${port}; ${read}; echo ping >&3; ${read}`;
      const { stdout, stderr } = await mesh.cluster.exec("web/client", ["bash", "-c", script]);
      assert.match(stdout, /^greetings from api-v\d\nping\n$/, stderr);
    });
  }

  test("an upstream that dies in the middle never looks like the end of its answer", async () => {
    const { error } = await mesh.curl("http://api.shop/die");
    assert.match(error, /curl: \((18|56|92)\)/);
  });
});
