/** A captured pod's 15008 against a raw HBONE client in a pod outside the mesh, well-mannered or not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session, type OutgoingHttpHeaders } from "node:http2";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import {
  connectHbone,
  connectTls,
  connectTo,
  createTestCa,
  issueLeaf,
  type LeafOptions,
  type PeerOptions,
  request,
  type TestCa,
} from "#test/support/hbone-peer.ts";
import { meshCa } from "#test/support/mesh-ca.ts";
import { namespace, pod, SPIFFE, service } from "#test/support/objects.ts";
import { PodSockets, peerIp, readToEnd } from "#test/support/pod-sockets.ts";
import { openConnections, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const HBONE = 15008;
const CLIENT = "outside/client";

const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "outside", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "friend", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "shop", name: "guarded", node: "node2" }),
  ...pod({ namespace: "shop", name: "fenced", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  service({ namespace: "shop", name: "guarded" }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "friends", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "guarded" } },
      rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/friend"] } }] }],
    },
  },
];

let cluster: TestCluster;
let sockets: PodSockets;
let ca: TestCa;
let onConnection: (socket: net.Socket) => void;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  ca = await meshCa(cluster);
  for (const name of ["web", "guarded", "fenced"]) {
    await sockets.serve(`shop/${name}`, PORT, (socket) => onConnection(socket));
  }
  onConnection = greetAndEcho;
  await cluster.apply({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "fence", namespace: "shop" },
    spec: {
      selector: { matchLabels: { app: "fenced" } },
      rules: [{ from: [{ source: { ipBlocks: [await cluster.podIp("shop/friend")] } }] }],
    },
  });
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

/** Tells the client the address it is seen with, then gives back what comes. */
function greetAndEcho(socket: net.Socket): void {
  socket.write(`${peerIp(socket)}\n`);
  socket.pipe(socket);
}

const leaf = (serviceAccount: string, options: LeafOptions = {}) =>
  issueLeaf(ca, { namespace: "shop", serviceAccount }, options);

async function peerOptions(
  server: string,
  options: Partial<PeerOptions> = {},
): Promise<PeerOptions> {
  const host = await cluster.podIp(`shop/${server}`);
  const socket = await sockets.dial(CLIENT, { ip: host, port: HBONE });
  // TLS ends when its peer does.
  socket.allowHalfOpen = false;
  return { host, port: HBONE, socket, certificate: leaf("client"), ...options };
}

async function open(server = "web", options?: Partial<PeerOptions>): Promise<ClientHttp2Session> {
  return connectHbone(await peerOptions(server, options));
}

const authorityOf = async (server: string): Promise<string> =>
  `${await cluster.podIp(`shop/${server}`)}:${PORT}`;

/** The record of a refusal that node2 logged for this client. */
async function refusal(reason: string) {
  return waitForRecord(cluster, "node2", {
    "src.addr": new RegExp(`^${await cluster.podIp(CLIENT)}:`),
    reason,
  });
}

describe("a client with a certificate of the mesh", () => {
  test("reaches the application, which sees the address it called from", async () => {
    const session = await open();
    const { status, stream, headers } = await connectTo(session, await authorityOf("web"));
    assert.equal(status, 200);
    assert.match(String(headers.baggage), /k8s\.namespace\.name=shop/);
    stream.end("hello");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await cluster.podIp(CLIENT)}\nhello`);
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
    session.close();
  });

  test("meets TLS 1.3, AES-GCM, h2 and the pod's own identity", async () => {
    const socket = await connectTls(await peerOptions("web"));
    assert.equal(socket.getProtocol(), "TLSv1.3");
    assert.match(socket.getCipher().standardName, /^TLS_AES_(128|256)_GCM_/);
    assert.equal(socket.alpnProtocol, "h2");
    const certificate = socket.getPeerX509Certificate();
    assert.equal(certificate?.subjectAltName, `URI:${SPIFFE}/ns/shop/sa/web`);
    assert.equal(certificate?.verify(ca.certificate.publicKey), true);
    socket.destroy();
  });

  test("cannot resume a session (D4.29)", async () => {
    const first = await connectTls(await peerOptions("web"));
    const opened = http2.connect("https://hbone", { createConnection: () => first });
    const [session] = (await once(first, "session")) as [Buffer];
    opened.destroy();
    const second = await connectTls(await peerOptions("web", { session }));
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  });

  const ANSWERS: readonly (readonly [
    title: string,
    authority: string,
    status: number,
    reason: string,
  ])[] = [
    ["another pod's address (D4.2)", "10.244.2.77:8080", 400, "ip-mismatch"],
    ["127.0.0.1 (D4.3)", "127.0.0.1:8080", 400, "ip-mismatch"],
    ["::1 (D4.3)", "[::1]:8080", 400, "ip-mismatch"],
    ["a link-local address (D4.3)", "[fe80::1]:8080", 400, "ip-mismatch"],
    ["the metadata address (D4.3)", "169.254.169.254:80", 400, "ip-mismatch"],
    ["its node's ztunnel (D4.3)", "172.18.0.3:15000", 400, "ip-mismatch"],
    ["the unspecified address", "0.0.0.0:8080", 400, "ip-mismatch"],
    ["15001 of the pod (D4.4)", "POD:15001", 503, "recursive-call"],
    ["15006 of the pod (D4.4)", "POD:15006", 503, "recursive-call"],
    ["15008 of the pod (D4.4)", "POD:15008", 503, "recursive-call"],
    ["15008 of localhost (D4.3)", "127.0.0.1:15008", 503, "recursive-call"],
    ["a port on which nobody listens", "POD:8081", 503, "connect-failed"],
    ["an authority without a port (D4.38)", "POD", 400, "bad-request"],
    ["port 0 (D4.38)", "POD:0", 400, "bad-request"],
    ["port 65536 (D4.38)", "POD:65536", 400, "bad-request"],
    ["port 08080 (D4.38)", "POD:08080", 400, "bad-request"],
    ["an address with too few parts (D4.38)", "10.244.2:8080", 400, "bad-request"],
    ["an address in octal (D4.38)", "0177.0.0.1:8080", 400, "bad-request"],
    ["300 characters (D4.38)", `${"a".repeat(300)}:80`, 400, "bad-request"],
    ["a service of the pod by name", "web.shop.svc.cluster.local:80", 200, ""],
    [
      "a port that the service does not have",
      "web.shop.svc.cluster.local:81",
      503,
      "unknown-destination",
    ],
    [
      "a service of another pod by name",
      "guarded.shop.svc.cluster.local:80",
      503,
      "unknown-destination",
    ],
    ["an unknown name", "nobody.shop.svc.cluster.local:80", 503, "unknown-destination"],
    ["localhost by name (D4.3)", "localhost:8080", 503, "unknown-destination"],
  ];
  for (const [title, authority, status, reason] of ANSWERS) {
    test(`that asks for ${title} is answered ${status}${reason === "" ? "" : `: ${reason}`}`, async () => {
      const session = await open();
      const ip = await cluster.podIp("shop/web");
      const answer = await connectTo(session, authority.replace("POD", ip));
      assert.equal(answer.status, status);
      if (reason !== "") await refusal(reason);
      session.destroy();
    });
  }

  test("that does not speak CONNECT is answered 400 (D4.38)", async () => {
    const session = await open();
    const authority = await authorityOf("web");
    for (const method of ["GET", "POST", "OPTIONS", "PRI"]) {
      const headers = {
        ":method": method,
        ":scheme": "https",
        ":path": "/",
        ":authority": authority,
      };
      assert.equal((await request(session, headers)).status, 400, method);
    }
    session.destroy();
  });

  const MALFORMED: Readonly<Record<string, OutgoingHttpHeaders>> = {
    "without :authority": { ":method": "CONNECT" },
    "with dots of another script": { ":method": "CONNECT", ":authority": "10。244。2。2:80" },
    "with user information": { ":method": "CONNECT", ":authority": "user@10.244.2.2:80" },
    "with :path and :scheme": { ":method": "CONNECT", ":scheme": "https", ":path": "/" },
    "with :protocol": {
      ":method": "CONNECT",
      ":scheme": "https",
      ":path": "/",
      ":protocol": "websocket",
    },
  };
  for (const [title, headers] of Object.entries(MALFORMED)) {
    test(`that sends CONNECT ${title} gets no tunnel (D4.38)`, async () => {
      const session = await open();
      const own = title === "without :authority" ? {} : { ":authority": await authorityOf("web") };
      let status: number;
      try {
        status = (await request(session, { ...own, ...headers })).status;
      } catch {
        status = 0; // Our own HTTP/2 refuses to send it.
      }
      assert.ok(status === 0 || status === 400, `answered ${status}`);
      session.destroy();
    });
  }

  test("that a policy does not allow is answered 401, whatever it says of itself (D4.10)", async () => {
    const forged = {
      forwarded: `for="${await cluster.podIp("shop/friend")}:5000"`,
      "x-forwarded-for": await cluster.podIp("shop/friend"),
      "x-forwarded-client-cert": `URI=${SPIFFE}/ns/shop/sa/friend`,
      "x-istio-source": "waypoint",
      baggage: "k8s.namespace.name=shop,k8s.pod.name=friend,service.name=friend",
    };
    for (const server of ["guarded", "fenced"]) {
      const session = await open(server);
      const authority = await authorityOf(server);
      for (const headers of [{}, forged]) {
        const connect = { ":method": "CONNECT", ":authority": authority, ...headers };
        assert.equal((await request(session, connect)).status, 401);
      }
      session.destroy();
    }
    const record = await refusal("no-allow-matched");
    assert.equal(record["src.identity"], `${SPIFFE}/ns/shop/sa/client`);
  });

  test("whom a policy allows is let in", async () => {
    const session = await open("guarded", { certificate: leaf("friend") });
    assert.equal((await connectTo(session, await authorityOf("guarded"))).status, 200);
    session.destroy();
  });

  test("that half-closes with its request still gets the application's bytes (D4.39)", async () => {
    const session = await open();
    const headers = { ":method": "CONNECT", ":authority": await authorityOf("web") };
    const stream = session.request(headers, { endStream: true });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await cluster.podIp(CLIENT)}\n`);
    session.close();
  });

  test("that sends data before the answer finds it delivered (D4.39)", async () => {
    const session = await open();
    const headers = { ":method": "CONNECT", ":authority": await authorityOf("web") };
    const stream = session.request(headers, { endStream: false });
    stream.end("early");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await cluster.podIp(CLIENT)}\nearly`);
    session.close();
  });

  for (const how of ["by a reset", "by an end without a word"]) {
    test(`that cuts its connection ${how} resets the application's (D4.13)`, async () => {
      const accepted = new Promise<net.Socket>((resolve) => {
        onConnection = resolve;
      });
      const options = await peerOptions("web");
      const session = await connectHbone(options);
      assert.equal((await connectTo(session, await authorityOf("web"))).status, 200);
      const ending = readToEnd(await accepted);
      const raw = options.socket as net.Socket;
      if (how === "by a reset") raw.resetAndDestroy();
      else raw.destroy();
      assert.equal((await ending).how, "reset");
      onConnection = greetAndEcho;
    });
  }

  test("that resets its streams by the thousand does no harm to others on its tunnel (D4.40, D4.47)", async () => {
    const session = await open();
    const authority = await authorityOf("web");
    const { stream: witness } = await connectTo(session, authority);
    await once(witness, "data");
    const headers = { ":method": "CONNECT", ":authority": authority };
    for (let round = 0; round < 40; round++) {
      const closed = Array.from({ length: 100 }, () => {
        const stream = session.request(headers, { endStream: false });
        stream.on("error", () => undefined);
        stream.close(http2.constants.NGHTTP2_CANCEL);
        return once(stream, "close");
      });
      await Promise.all(closed);
    }
    witness.write("still here");
    const [echo] = (await once(witness, "data")) as [Buffer];
    assert.equal(String(echo), "still here");
    session.destroy();
    await cluster.until("node2 has no open connection", async () => {
      return (await openConnections(cluster, "node2")).length === 0;
    });
  });
});

describe("a client is refused in its handshake, and that is logged,", () => {
  const client = { namespace: "shop", serviceAccount: "client" };
  const uri = (account: string) => `${SPIFFE}/ns/shop/sa/${account}`;
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);

  const CASES: Readonly<Record<string, () => Partial<PeerOptions>>> = {
    "without a certificate (D4.21)": () => ({ certificate: undefined as never }),
    "of another CA (D4.22)": () => ({ certificate: issueLeaf(createTestCa(), client) }),
    "of another trust domain (D4.23)": () => ({
      certificate: issueLeaf(ca, { ...client, trustDomain: "evil.local" }),
    }),
    "of the trust domain in capitals (D4.24)": () => ({
      certificate: leaf("client", { uris: ["spiffe://CLUSTER.LOCAL/ns/shop/sa/client"] }),
    }),
    "without a name (D4.24)": () => ({ certificate: leaf("client", { uris: [] }) }),
    "with two SPIFFE names (D4.24)": () => ({
      certificate: leaf("client", { uris: [uri("client"), uri("friend")] }),
    }),
    "with an escaped name (D4.24)": () => ({
      certificate: leaf("client", { uris: ["spiffe://cluster.local/ns/a%2fb/sa/x"] }),
    }),
    "with an expired certificate (D4.25)": () => ({
      certificate: leaf("client", { notBefore: hours(-2), notAfter: hours(-1) }),
    }),
    "with a certificate that is not valid yet (D4.25)": () => ({
      certificate: leaf("client", { notBefore: hours(1), notAfter: hours(2) }),
    }),
    "with a certificate for servers only (D4.26)": () => ({
      certificate: leaf("client", { purposes: ["serverAuth"] }),
    }),
    "with TLS 1.2 (D4.27)": () => ({ maxVersion: "TLSv1.2" }),
    "with ChaCha20 only (D4.27)": () => ({ ciphers: "TLS_CHACHA20_POLY1305_SHA256" }),
    "with http/1.1 only (D4.28)": () => ({ ALPNProtocols: ["http/1.1"] }),
    "without ALPN (D4.28)": () => ({ ALPNProtocols: [] }),
  };
  for (const [title, options] of Object.entries(CASES)) {
    test(title, async () => {
      const { certificate, ...rest } = options();
      const all = await peerOptions("guarded", rest);
      const { localPort } = all.socket as net.Socket;
      const { certificate: own, ...without } = all;
      const offered = "certificate" in options() ? certificate : own;
      const session = connectHbone({ ...without, ...(offered && { certificate: offered }) });
      await assert.rejects(session);
      const source = `${await cluster.podIp(CLIENT)}:${localPort}`;
      const record = await waitForRecord(cluster, "node2", { "src.addr": source });
      assert.match(record.reason ?? "", /^(tls-failed|identity-mismatch|h2-failed)$/);
      assert.equal(record.level, "error");
      assert.equal(record["src.identity"], undefined);
    });
  }

  test("by the hundred and without a word, while others get in (D4.30)", async () => {
    const ip = await cluster.podIp("shop/web");
    const silent = await sockets.dialMany(CLIENT, { ip, port: HBONE }, 500);
    const closed = silent.map((socket) => readToEnd(socket));
    const session = await open();
    assert.equal((await connectTo(session, await authorityOf("web"))).status, 200);
    session.destroy();
    for (const { how } of await Promise.all(closed)) assert.notEqual(how, "closed");
  });
});

test("afterwards ztunnel is the same process, ready, and serves its pods", async () => {
  assert.equal(await cluster.ztunnel("node2").isReady(), true);
  const { containers } = await cluster.client.pod("istio-system", "ztunnel-node2");
  assert.equal(containers.length, 1);
  const target = { ip: await cluster.podIp("shop/guarded"), port: PORT };
  const { received } = await sockets.call("shop/friend", target, "hello");
  assert.equal(String(received), `${await cluster.podIp("shop/friend")}\nhello`);
});
