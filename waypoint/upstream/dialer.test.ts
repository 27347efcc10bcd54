/** Connections to endpoints outside the mesh, on real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, describe, test } from "node:test";
import tls, { type TLSSocket } from "node:tls";
import { ip, pod } from "#common/mesh-state/test-records.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { failure } from "#common/transport/failure.ts";
import { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { Wire } from "../http/engine.ts";
import { createDialer } from "./dialer.ts";
import type { ClientTls } from "./tls-origination.ts";
import type { DialRequest } from "./upstream.ts";

const HOST = "api.example.com";
const ca = TestAuthority.root();
const others = TestAuthority.root();
const named = (authority: TestAuthority, ...names: readonly string[]) =>
  authority.workload({ subjectAltNames: names.map((value) => ({ type: "dns", value })) });

const dial = createDialer({
  hbone: { open: async () => failure("connect-failed", "nothing here is in the mesh") },
  batcher: new FlushBatcher(),
});
const servers: net.Server[] = [];
after(() => {
  for (const server of servers) server.close();
});

async function listen(server: net.Server): Promise<number> {
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** What an echo server with TLS was asked for. */
interface Seen {
  servername?: string | false;
  alpn?: string | false;
  client?: string | undefined;
}

async function tlsServer(seen: Seen, names: readonly string[] = [HOST], options = {}) {
  const { certChainPem: cert, privateKeyPem: key } = named(ca, ...names);
  const server = tls.createServer({ cert, key, ca: ca.rootsPem, ...options }, (socket) => {
    const { servername, alpnProtocol } = socket as TLSSocket & { servername?: string | false };
    Object.assign(seen, { servername, alpn: alpnProtocol });
    seen.client = socket.getPeerX509Certificate()?.subjectAltName;
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.on("tlsClientError", () => undefined);
  return listen(server);
}

function request(port: number, policy: TrafficPolicy, more: Partial<DialRequest> = {}) {
  const workload = pod("api", ["127.0.0.1"], { tunnelProtocol: "none" });
  return dial({
    endpoint: { workload, address: { ip: ip("127.0.0.1"), port }, transport: "plaintext" },
    backend: { namespace: "shop", hostname: HOST, port: 443 },
    policy,
    protocol: "tcp",
    signal: AbortSignal.timeout(30_000),
    ...more,
  });
}

const simple = (fields: Partial<ClientTls> = {}): TrafficPolicy => ({
  tls: {
    mode: "simple",
    subjectAltNames: [],
    insecureSkipVerify: false,
    caCertificates: ca.rootsPem,
    ...fields,
  },
});

function opened(result: Awaited<ReturnType<typeof dial>>): Wire {
  assert.ok("asEnd" in result, JSON.stringify(result));
  return result;
}

async function echoed(wire: Wire): Promise<string> {
  const duplex = wire.asDuplex();
  duplex.end("hello");
  let all = "";
  for await (const chunk of duplex) all += chunk;
  return all;
}

async function refusalOf(result: ReturnType<typeof dial>): Promise<string> {
  const reply = await result;
  assert.ok("reason" in reply);
  assert.equal(reply.reason, "upstream-connect-failure");
  return reply.detail ?? "";
}

describe("TLS towards an endpoint", () => {
  test("asks for the backend's host name, verifies it, and carries half-closes", async () => {
    const seen: Seen = {};
    const port = await tlsServer(seen);
    assert.equal(await echoed(opened(await request(port, simple()))), "hello");
    assert.deepEqual(seen, { servername: HOST, alpn: false, client: undefined });
  });

  test("offers what will be spoken, and refuses a server that does not take HTTP/2", async () => {
    const seen: Seen = {};
    const port = await tlsServer(seen, [HOST], { ALPNProtocols: ["h2", "http/1.1"] });
    for (const [protocol, alpn] of [["http2", "h2"] as const, ["http1", "http/1.1"] as const]) {
      await echoed(opened(await request(port, simple(), { protocol })));
      assert.equal(seen.alpn, alpn);
    }
    const older = await tlsServer({}, [HOST]);
    const why = await refusalOf(request(older, simple(), { protocol: "http2" }));
    assert.match(why, /does not offer HTTP\/2/);
  });

  test("takes the names of its policy in place of the host's", async () => {
    const seen: Seen = {};
    const port = await tlsServer(seen, ["inner.example.com"]);
    const policy = simple({ sni: "outer.example.com", subjectAltNames: ["inner.example.com"] });
    await echoed(opened(await request(port, policy)));
    assert.equal(seen.servername, "outer.example.com");
  });

  test("is refused where the certificate names another, or another CA signed it", async () => {
    const port = await tlsServer({}, ["other.example.com"]);
    assert.match(await refusalOf(request(port, simple())), /does not match|altnames/i);
    const wanted = simple({ subjectAltNames: ["a.example.com"] });
    assert.match(await refusalOf(request(port, wanted)), /names none of a\.example\.com/);
    const right = await tlsServer({});
    const distrusting = simple({ caCertificates: others.rootsPem });
    assert.match(await refusalOf(request(right, distrusting)), /certificate|issuer/i);
    // Without roots of its own it goes by the system's, which do not know the test's.
    const { caCertificates: _roots, ...system } = simple().tls ?? assert.fail();
    assert.match(await refusalOf(request(right, { tls: system })), /certificate|issuer/i);
    const skipping = simple({ insecureSkipVerify: true, caCertificates: others.rootsPem });
    assert.equal(await echoed(opened(await request(right, skipping))), "hello");
  });

  test("presents a certificate where that is asked for", async () => {
    const seen: Seen = {};
    const port = await tlsServer(seen, [HOST], { requestCert: true, rejectUnauthorized: true });
    const own = named(ca, "waypoint.example.com");
    const mutual = simple({
      mode: "mutual",
      certificateChain: own.certChainPem,
      privateKey: own.privateKeyPem,
    });
    await echoed(opened(await request(port, mutual)));
    assert.equal(seen.client, "DNS:waypoint.example.com");
    const broken = simple({ mode: "mutual", certificateChain: "no PEM", privateKey: "none" });
    assert.match(await refusalOf(request(port, broken)), /cannot be used/);
  });

  test("is given up when nobody waits any more", async () => {
    const silent = await listen(net.createServer((socket) => socket.on("error", () => undefined)));
    const controller = new AbortController();
    const pending = request(silent, simple(), { signal: controller.signal });
    setImmediate(() => controller.abort());
    await refusalOf(pending);
  });
});

describe("a header of the PROXY protocol", () => {
  const client = { ip: ip("10.0.0.7"), port: 4242 };
  const received = async (policy: TrafficPolicy, more: Partial<DialRequest>): Promise<Buffer> => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const server = net.createServer(async (socket) => {
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk);
      resolve(Buffer.concat(chunks));
    });
    const port = await listen(server);
    opened(await request(port, policy, more))
      .asDuplex()
      .end("data");
    return promise;
  };

  test("comes before all else and names the client, as text or binary", async () => {
    const text = String(await received({ proxyProtocol: "v1" }, { client }));
    assert.match(text, /^PROXY TCP4 10\.0\.0\.7 127\.0\.0\.1 4242 \d+\r\ndata$/);
    const binary = await received({ proxyProtocol: "v2" }, { client });
    const head = "0d0a0d0a000d0a515549540a" + "2111000c" + "0a000007" + "7f000001" + "1092";
    assert.equal(binary.subarray(0, 26).toString("hex"), head);
    assert.equal(String(binary.subarray(28)), "data");
  });

  test("names nobody where many clients share the connection, or it is of the other family", async () => {
    assert.equal(String(await received({ proxyProtocol: "v1" }, {})), "PROXY UNKNOWN\r\ndata");
    const ipv6 = { ip: ip("2001:db8::1"), port: 1 };
    const binary = await received({ proxyProtocol: "v2" }, { client: ipv6 });
    assert.equal(binary.subarray(12, 16).toString("hex"), "20000000");
  });
});

test("an endpoint that is not there is a reply, not an error", async () => {
  const server = net.createServer();
  const port = await listen(server);
  server.close();
  assert.match(await refusalOf(request(port, {})), /ECONNREFUSED/);
});
