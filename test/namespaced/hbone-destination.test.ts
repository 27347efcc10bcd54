/**
 * A ztunnel's way out against an HBONE server that is not what it should be: the captured pod's own
 * ztunnel is down, and something else listens on its 15008.
 */
import assert from "node:assert/strict";
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { type Behaviour, echo, HboneListener } from "#test/support/hbone-listener.ts";
import {
  createTestCa,
  issueLeaf,
  type LeafOptions,
  type TestCa,
} from "#test/support/hbone-peer.ts";
import { meshCa } from "#test/support/mesh-ca.ts";
import { namespace, pod, SPIFFE, service } from "#test/support/objects.ts";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const HBONE = 15008;
const PORT = 8080;
const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } =
  http2.constants;

const OBJECTS = [
  namespace("shop", "ambient"),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "other", node: "node1" }),
  ...["web", "stalled", "silent"].flatMap((name) =>
    pod({ namespace: "shop", name, node: "node2" }),
  ),
  service({ namespace: "shop", name: "web" }),
];

let cluster: TestCluster;
let sockets: PodSockets;
let ca: TestCa;
let listener: HboneListener;
let good: Behaviour;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  ca = await meshCa(cluster);
  await cluster.ztunnel("node2").stop();
  good = { certificate: leaf("web") };
  listener = await listen("web", good);
});

after(async () => {
  listener?.reset(good);
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

beforeEach(() => listener.reset(good));

const leaf = (serviceAccount: string, options: LeafOptions = {}) =>
  issueLeaf(ca, { namespace: "shop", serviceAccount }, options);

async function listen(name: string, behaviour: Behaviour): Promise<HboneListener> {
  const made = new HboneListener(behaviour);
  await sockets.serve(`shop/${name}`, HBONE, (socket) => made.accept(socket));
  return made;
}

async function dial(from = "shop/client", to = "web"): Promise<net.Socket> {
  return sockets.dial(from, { ip: await cluster.podIp(`shop/${to}`), port: PORT });
}

/** Sends something and waits for the end; tells how it ended and what node1 says of it. */
async function call(to = "web") {
  const target = { ip: await cluster.podIp(`shop/${to}`), port: PORT };
  const { source, how, received } = await sockets.call("shop/client", target, "secret");
  const record = await waitForRecord(cluster, "node1", { "src.addr": source });
  return { how, received: String(received), record };
}

/** Resets a stream. Node would end it first, which says that all was sent. */
function reset(stream: ServerHttp2Stream, code: number): void {
  stream._final = (done) => done();
  stream.close(code);
}

describe("a tunnel to the pod's own identity", () => {
  test("carries CONNECT with the headers of Istio's ztunnel, and nothing else", async () => {
    let seen: IncomingHttpHeaders = {};
    listener.behaviour = {
      ...good,
      onStream: (stream, headers) => {
        seen = JSON.parse(JSON.stringify(headers));
        echo(stream);
      },
    };
    const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
    const target = { ip: spec?.clusterIP ?? "", port: 80 };
    const { source: client, received } = await sockets.call("shop/client", target, "hello");
    assert.equal(String(received), "hello");
    const { traceparent, ...rest } = seen;
    assert.match(String(traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    assert.deepEqual(
      { ...rest },
      {
        ":method": "CONNECT",
        ":authority": `${await cluster.podIp("shop/web")}:${PORT}`,
        baggage:
          "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=client," +
          "service.name=client,service.version=latest",
        forwarded: `for="${client}";host=web.shop.svc.cluster.local`,
      },
    );
    const [tunnel] = listener.tunnels;
    assert.equal(tunnel?.clientUri, `${SPIFFE}/ns/shop/sa/client`);
    assert.equal(tunnel?.socket.servername || "", "");
    assert.equal(tunnel?.socket.getProtocol(), "TLSv1.3");
    assert.equal(
      tunnel?.raw.remoteAddress?.replace("::ffff:", ""),
      await cluster.podIp("shop/client"),
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
      const open = await Promise.all(Array.from({ length: 20 }, () => dial(from)));
      for (const socket of open) socket.write("x");
      await Promise.all(open.map((socket) => readBytes(socket, 1)));
      for (const socket of open) socket.resetAndDestroy();
    }
    assert.deepEqual(
      listener.tunnels.map(({ clientUri, streams }) => [clientUri, streams]),
      [
        [`${SPIFFE}/ns/shop/sa/client`, 20],
        [`${SPIFFE}/ns/shop/sa/other`, 20],
      ],
    );
  });

  test("takes no more streams than its server allows: further connections open another", async () => {
    listener.behaviour = { ...good, settings: { maxConcurrentStreams: 2 } };
    const open: net.Socket[] = [];
    for (let i = 0; i < 7; i++) {
      const socket = await dial();
      open.push(socket);
      socket.write("x");
      await readBytes(socket, 1);
    }
    assert.deepEqual(
      listener.tunnels.map(({ streams }) => streams),
      [2, 2, 2, 1],
    );
    for (const socket of open) socket.resetAndDestroy();
  });

  test("that is told to go away finishes what it carries, and new connections open another (D4.46)", async () => {
    const first = await dial();
    first.write("1");
    await readBytes(first, 1);
    listener.tunnels[0]?.session.goaway(NGHTTP2_NO_ERROR);
    await cluster.until("new connections use another tunnel", async () => {
      const next = await dial();
      next.end("2");
      assert.equal(String((await readToEnd(next)).received), "2");
      return listener.tunnels.length === 2;
    });
    first.end("still here");
    assert.equal(String((await readToEnd(first)).received), "still here");
  });

  for (const how of ["a reset", "an end without a word"]) {
    test(`that is cut by ${how} resets its connections at once (D4.13, D4.74)`, async () => {
      const socket = await dial();
      socket.write("x");
      await readBytes(socket, 1);
      const cutAt = performance.now();
      const raw = listener.tunnels[0]?.raw;
      if (how === "a reset") raw?.resetAndDestroy();
      else raw?.destroy();
      assert.equal((await readToEnd(socket)).how, "reset");
      assert.ok(performance.now() - cutAt < 2_000, `${performance.now() - cutAt} ms`);
      const { how: next, received } = await call();
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
        listener.behaviour = {
          ...good,
          onStream: (stream) => {
            stream.respond({ ":status": 200 });
            stream.write("partial");
            resolve(stream);
          },
        };
      });
      const socket = await dial();
      const stream = await accepted;
      assert.equal(String(await readBytes(socket, 7)), "partial");
      reset(stream, code);
      assert.equal((await readToEnd(socket)).how, seen);
      socket.destroy();
    });
  }

  test("before its answer is tried once more, on another tunnel", async () => {
    let refusals = 0;
    listener.behaviour = {
      ...good,
      onStream: (stream) => {
        if (refusals++ === 0) reset(stream, NGHTTP2_REFUSED_STREAM);
        else echo(stream);
      },
    };
    const { how, received } = await call();
    assert.deepEqual([how, received], ["end", "secret"]);
    assert.equal(listener.tunnels.length, 2);
  });

  for (const status of [400, 401, 404, 503]) {
    test(`with status ${status} is a reset, and the log says so`, async () => {
      listener.behaviour = {
        ...good,
        onStream: (stream) => stream.respond({ ":status": status }, { endStream: true }),
      };
      const { how, received, record } = await call();
      assert.deepEqual([how, received], ["reset", ""]);
      assert.match(record.error ?? "", new RegExp(`^http status: ${status}\\b`));
      assert.equal(record.reason, "http-status");
    });
  }
});

describe("a server that is not the destination gets no byte of the application:", () => {
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);
  const uri = (account: string) => `${SPIFFE}/ns/shop/sa/${account}`;
  const web = { namespace: "shop", serviceAccount: "web" };

  const CASES: Readonly<
    Record<string, readonly [reason: RegExp, behaviour: () => Partial<Behaviour>]>
  > = {
    "another identity of the mesh (D4.32)": [
      /^identity-mismatch$/,
      () => ({ certificate: leaf("other") }),
    ],
    "the same account of another namespace (D4.32)": [
      /^identity-mismatch$/,
      () => ({ certificate: issueLeaf(ca, { namespace: "bank", serviceAccount: "web" }) }),
    ],
    "another CA (D4.22)": [/^tls-failed$/, () => ({ certificate: issueLeaf(createTestCa(), web) })],
    "another trust domain (D4.23)": [
      /^identity-mismatch$/,
      () => ({ certificate: issueLeaf(ca, { ...web, trustDomain: "evil.local" }) }),
    ],
    "no name (D4.24)": [/^identity-mismatch$/, () => ({ certificate: leaf("web", { uris: [] }) })],
    "two names, the right one first (D4.24)": [
      /^identity-mismatch$/,
      () => ({ certificate: leaf("web", { uris: [uri("web"), uri("other")] }) }),
    ],
    "an expired certificate (D4.25)": [
      /^tls-failed$/,
      () => ({ certificate: leaf("web", { notBefore: hours(-2), notAfter: hours(-1) }) }),
    ],
    "a certificate for clients only (D4.26)": [
      /^(tls-failed|identity-mismatch)$/,
      () => ({ certificate: leaf("web", { purposes: ["clientAuth"] }) }),
    ],
    "TLS 1.2 (D4.27)": [/^tls-failed$/, () => ({ tls: { maxVersion: "TLSv1.2" } })],
    "no HTTP/2 (D4.28)": [/^(h2|tls)-failed$/, () => ({ tls: { ALPNProtocols: ["http/1.1"] } })],
    "no TLS at all": [
      /^tls-failed$/,
      () => ({ onSocket: (socket: net.Socket) => void socket.end("220 hello\r\n") }),
    ],
    "one that hangs up": [
      /^tls-failed$/,
      () => ({ onSocket: (socket: net.Socket) => void socket.destroy() }),
    ],
  };
  for (const [title, [reason, behaviour]] of Object.entries(CASES)) {
    test(title, async () => {
      listener.behaviour = { ...good, ...behaviour() };
      const { how, received, record } = await call();
      assert.deepEqual([how, received], ["reset", ""]);
      assert.match(record.reason ?? "", reason);
      assert.equal(record.level, "error");
      assert.equal(
        listener.tunnels.reduce((sum, { streams }) => sum + streams, 0),
        0,
      );
    });
  }
});

describe("a server that takes its time", { concurrency: true }, () => {
  test("over its handshake is given up after 5 s", async () => {
    await listen("stalled", { ...good, onSocket: (socket) => void socket.resume() });
    const startedAt = performance.now();
    const { how, record } = await call("stalled");
    assert.equal(how, "reset");
    assert.equal(record.reason, "tls-timeout");
    assert.ok(performance.now() - startedAt < 12_000);
  });

  test("over its answer to CONNECT is given up after 12 s", async () => {
    await listen("silent", { certificate: leaf("silent"), onStream: () => undefined });
    const { how, record } = await call("silent");
    assert.equal(how, "reset");
    assert.equal(record.reason, "connect-timeout");
  });
});

test("once the right server is back, so is the connection", async () => {
  await cluster.ztunnel("node2").start();
  sockets[Symbol.dispose]();
  await sockets.serve("shop/web", PORT, (socket) => socket.pipe(socket));
  await cluster.until("it is served", async () => {
    const target = { ip: await cluster.podIp("shop/web"), port: PORT };
    return String((await sockets.call("shop/client", target, "hello")).received) === "hello";
  });
});
