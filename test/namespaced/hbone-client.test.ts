/** A captured pod's 15008 against a raw HBONE client with a certificate of the mesh. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type OutgoingHttpHeaders } from "node:http2";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { connectHbone, connectTls, connectTo, request } from "#test/support/hbone-peer.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { readToEnd } from "#test/support/pod-sockets.ts";
import { CLIENT, greetAndEcho, RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";
import { openConnections } from "#test/support/ztunnel-view.ts";

let mesh: RawHboneMesh;

before(async () => {
  mesh = await RawHboneMesh.start();
});

after(() => mesh?.[Symbol.asyncDispose]());

describe("a client with a certificate of the mesh", () => {
  test("reaches the application, which sees the address it called from", async () => {
    const session = await mesh.open();
    const { status, stream, headers } = await connectTo(session, await mesh.authorityOf("web"));
    assert.equal(status, 200);
    assert.match(String(headers.baggage), /k8s\.namespace\.name=shop/);
    stream.end("hello");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await mesh.cluster.podIp(CLIENT)}\nhello`);
    assert.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);
    session.close();
  });

  test("meets TLS 1.3, AES-GCM, h2 and the pod's own identity", async () => {
    const socket = await connectTls(await mesh.peerOptions("web"));
    assert.equal(socket.getProtocol(), "TLSv1.3");
    assert.match(socket.getCipher().standardName, /^TLS_AES_(128|256)_GCM_/);
    assert.equal(socket.alpnProtocol, "h2");
    const certificate = socket.getPeerX509Certificate();
    assert.equal(certificate?.subjectAltName, `URI:${SPIFFE}/ns/shop/sa/web`);
    assert.equal(certificate?.verify(mesh.ca.certificate.publicKey), true);
    socket.destroy();
  });

  test("cannot resume a session (D4.29)", async () => {
    const first = await connectTls(await mesh.peerOptions("web"));
    const opened = http2.connect("https://hbone", { createConnection: () => first });
    const [session] = (await once(first, "session")) as [Buffer];
    opened.destroy();
    const second = await connectTls(await mesh.peerOptions("web", { session }));
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
      const session = await mesh.open();
      const ip = await mesh.cluster.podIp("shop/web");
      const answer = await connectTo(session, authority.replace("POD", ip));
      assert.equal(answer.status, status);
      if (reason !== "") await mesh.refusal(reason);
      session.destroy();
    });
  }

  test("that does not speak CONNECT is answered 400 (D4.38)", async () => {
    const session = await mesh.open();
    const authority = await mesh.authorityOf("web");
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
      const session = await mesh.open();
      const authority = { ":authority": await mesh.authorityOf("web") };
      const own = title === "without :authority" ? {} : authority;
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
      forwarded: `for="${await mesh.cluster.podIp("shop/friend")}:5000"`,
      "x-forwarded-for": await mesh.cluster.podIp("shop/friend"),
      "x-forwarded-client-cert": `URI=${SPIFFE}/ns/shop/sa/friend`,
      "x-istio-source": "waypoint",
      baggage: "k8s.namespace.name=shop,k8s.pod.name=friend,service.name=friend",
    };
    for (const server of ["guarded", "fenced"] as const) {
      const session = await mesh.open(server);
      const authority = await mesh.authorityOf(server);
      for (const headers of [{}, forged]) {
        const connect = { ":method": "CONNECT", ":authority": authority, ...headers };
        assert.equal((await request(session, connect)).status, 401);
      }
      session.destroy();
    }
    const record = await mesh.refusal("no-allow-matched");
    assert.equal(record["src.identity"], `${SPIFFE}/ns/shop/sa/client`);
  });

  test("whom a policy allows is let in", async () => {
    const session = await mesh.open("guarded", { certificate: mesh.leaf("friend") });
    assert.equal((await connectTo(session, await mesh.authorityOf("guarded"))).status, 200);
    session.destroy();
  });

  test("that half-closes with its request still gets the application's bytes (D4.39)", async () => {
    const session = await mesh.open();
    const headers = { ":method": "CONNECT", ":authority": await mesh.authorityOf("web") };
    const stream = session.request(headers, { endStream: true });
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await mesh.cluster.podIp(CLIENT)}\n`);
    session.close();
  });

  test("that sends data before the answer finds it delivered (D4.39)", async () => {
    const session = await mesh.open();
    const headers = { ":method": "CONNECT", ":authority": await mesh.authorityOf("web") };
    const stream = session.request(headers, { endStream: false });
    stream.end("early");
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(chunks)), `${await mesh.cluster.podIp(CLIENT)}\nearly`);
    session.close();
  });

  for (const how of ["by a reset", "by an end without a word"]) {
    test(`that cuts its connection ${how} resets the application's (D4.13)`, async () => {
      const accepted = new Promise<net.Socket>((resolve) => {
        mesh.onConnection = resolve;
      });
      const options = await mesh.peerOptions("web");
      const session = await connectHbone(options);
      assert.equal((await connectTo(session, await mesh.authorityOf("web"))).status, 200);
      const ending = readToEnd(await accepted);
      const raw = options.socket as net.Socket;
      if (how === "by a reset") raw.resetAndDestroy();
      else raw.destroy();
      assert.equal((await ending).how, "reset");
      mesh.onConnection = greetAndEcho;
    });
  }

  test("that resets its streams by the thousand does no harm to others on its tunnel (D4.40, D4.47)", async () => {
    const session = await mesh.open();
    const authority = await mesh.authorityOf("web");
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
    await mesh.cluster.until("node2 has no open connection", async () => {
      return (await openConnections(mesh.cluster, "node2")).length === 0;
    });
  });
});

test("D4.76 afterwards ztunnel is the same process, ready, and serves its pods", () =>
  mesh.assertUnharmed());
