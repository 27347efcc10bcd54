/** A ztunnel's tunnels and streams to a server that is who it should be, but does as it likes. */
import assert from "node:assert/strict";
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { echo } from "#test/support/hbone-listener.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { PORT, StandInMesh } from "#test/support/stand-in-mesh.ts";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } =
  http2.constants;

let mesh: StandInMesh;

before(async () => {
  mesh = await StandInMesh.start();
});

after(() => mesh?.[Symbol.asyncDispose]());

beforeEach(() => mesh.reset());

/** Resets a stream. Node would end it first, which says that all was sent. */
function reset(stream: ServerHttp2Stream, code: number): void {
  stream._final = (done) => done();
  stream.close(code);
}

describe("a tunnel to the pod's own identity", () => {
  test("carries CONNECT with the headers of Istio's ztunnel, and nothing else", async () => {
    let seen: IncomingHttpHeaders = {};
    mesh.listener.behaviour = {
      ...mesh.good,
      onStream: (stream, headers) => {
        seen = JSON.parse(JSON.stringify(headers));
        echo(stream);
      },
    };
    const { spec } = (await mesh.cluster.find("Service", "shop/web")) ?? {};
    const target = { ip: spec?.clusterIP ?? "", port: 80 };
    const { source: client, received } = await mesh.sockets.call("shop/client", target, "hello");
    assert.equal(String(received), "hello");
    const { traceparent, ...rest } = seen;
    assert.match(String(traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    assert.deepEqual(
      { ...rest },
      {
        ":method": "CONNECT",
        ":authority": `${await mesh.cluster.podIp("shop/web")}:${PORT}`,
        baggage:
          "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=client," +
          "service.name=client,service.version=latest",
        forwarded: `for="${client}";host=web.shop.svc.cluster.local`,
      },
    );
    const [tunnel] = mesh.listener.tunnels;
    assert.equal(tunnel?.clientUri, `${SPIFFE}/ns/shop/sa/client`);
    assert.equal(tunnel?.socket.servername || "", "");
    assert.equal(tunnel?.socket.getProtocol(), "TLSv1.3");
    assert.equal(
      tunnel?.raw.remoteAddress?.replace("::ffff:", ""),
      await mesh.cluster.podIp("shop/client"),
    );
    const { initialWindowSize, enablePush, maxHeaderListSize } =
      tunnel?.session.remoteSettings ?? {};
    assert.deepEqual(
      [initialWindowSize, enablePush, maxHeaderListSize],
      [4 << 20, false, 16 << 10],
    );
  });

  test("is shared by the connections of a pod, and by no other identity's (D4.37)", async () => {
    for (const from of ["shop/client", "shop/other"]) {
      const open = await Promise.all(Array.from({ length: 20 }, () => mesh.dial(from)));
      for (const socket of open) socket.write("x");
      await Promise.all(open.map((socket) => readBytes(socket, 1)));
      for (const socket of open) socket.resetAndDestroy();
    }
    assert.deepEqual(
      mesh.listener.tunnels.map(({ clientUri, streams }) => [clientUri, streams]),
      [
        [`${SPIFFE}/ns/shop/sa/client`, 20],
        [`${SPIFFE}/ns/shop/sa/other`, 20],
      ],
    );
  });

  test("takes no more streams than its server allows: further connections open another", async () => {
    mesh.listener.behaviour = { ...mesh.good, settings: { maxConcurrentStreams: 2 } };
    const open: net.Socket[] = [];
    for (let i = 0; i < 7; i++) {
      const socket = await mesh.dial();
      open.push(socket);
      socket.write("x");
      await readBytes(socket, 1);
    }
    assert.deepEqual(
      mesh.listener.tunnels.map(({ streams }) => streams),
      [2, 2, 2, 1],
    );
    for (const socket of open) socket.resetAndDestroy();
  });

  test("that is told to go away finishes what it carries, and new connections open another (D4.46)", async () => {
    const first = await mesh.dial();
    first.write("1");
    await readBytes(first, 1);
    mesh.listener.tunnels[0]?.session.goaway(NGHTTP2_NO_ERROR);
    await mesh.cluster.until("new connections use another tunnel", async () => {
      const next = await mesh.dial();
      next.end("2");
      assert.equal(String((await readToEnd(next)).received), "2");
      return mesh.listener.tunnels.length === 2;
    });
    first.end("still here");
    assert.equal(String((await readToEnd(first)).received), "still here");
  });

  for (const how of ["a reset", "an end without a word"]) {
    test(`that is cut by ${how} resets its connections at once (D4.13, D4.74)`, async () => {
      const socket = await mesh.dial();
      socket.write("x");
      await readBytes(socket, 1);
      const cutAt = performance.now();
      const raw = mesh.listener.tunnels[0]?.raw;
      if (how === "a reset") raw?.resetAndDestroy();
      else raw?.destroy();
      assert.equal((await readToEnd(socket)).how, "reset");
      assert.ok(performance.now() - cutAt < 2_000, `${performance.now() - cutAt} ms`);
      const { how: next, received } = await mesh.call();
      assert.deepEqual([next, received], ["end", "secret"]);
    });
  }
});

describe("a stream that its server ends", () => {
  const codes = {
    NO_ERROR: NGHTTP2_NO_ERROR,
    CANCEL: NGHTTP2_CANCEL,
    INTERNAL_ERROR: NGHTTP2_INTERNAL_ERROR,
  };
  for (const [name, code] of Object.entries(codes)) {
    const seen = name === "INTERNAL_ERROR" ? "reset" : "end";
    test(`by RST_STREAM(${name}) reads as "${seen}" at the client`, async () => {
      const accepted = new Promise<ServerHttp2Stream>((resolve) => {
        mesh.listener.behaviour = {
          ...mesh.good,
          onStream: (stream) => {
            stream.respond({ ":status": 200 });
            stream.write("partial");
            resolve(stream);
          },
        };
      });
      const socket = await mesh.dial();
      const stream = await accepted;
      assert.equal(String(await readBytes(socket, 7)), "partial");
      reset(stream, code);
      assert.equal((await readToEnd(socket)).how, seen);
      socket.destroy();
    });
  }

  test("before its answer is tried once more, on another tunnel", async () => {
    let refusals = 0;
    mesh.listener.behaviour = {
      ...mesh.good,
      onStream: (stream) => {
        if (refusals++ === 0) reset(stream, NGHTTP2_REFUSED_STREAM);
        else echo(stream);
      },
    };
    const { how, received } = await mesh.call();
    assert.deepEqual([how, received], ["end", "secret"]);
    assert.equal(mesh.listener.tunnels.length, 2);
  });

  for (const status of [400, 401, 404, 503]) {
    test(`with status ${status} is a reset, and the log says so`, async () => {
      mesh.listener.behaviour = {
        ...mesh.good,
        onStream: (stream) => stream.respond({ ":status": status }, { endStream: true }),
      };
      const { how, received, record } = await mesh.call();
      assert.deepEqual([how, received], ["reset", ""]);
      assert.match(record.error ?? "", new RegExp(`^http status: ${status}\\b`));
      assert.equal(record.reason, "http-status");
    });
  }
});

test("once the right server is back, so is the connection", async () => {
  const { cluster, sockets } = mesh;
  await cluster.ztunnel("node2").start();
  sockets[Symbol.dispose]();
  await sockets.serve("shop/web", PORT, (socket) => socket.pipe(socket));
  await cluster.until("it is served", async () => {
    const target = { ip: await cluster.podIp("shop/web"), port: PORT };
    return String((await sockets.call("shop/client", target, "hello")).received) === "hello";
  });
});
