import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import tls, { type ConnectionOptions, type TLSSocket, type TlsOptions } from "node:tls";
import { makeIdentity } from "#common/model/identity.ts";
import { TLS_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import {
  createWorkloadSecureContext,
  mtlsClientOptions,
  mtlsServerOptions,
} from "./mtls-options.ts";
import { TEST_IDENTITY, TestAuthority } from "./test-authority.ts";
import {
  describeHandshakeFailure,
  type PeerVerdict,
  verifyClientPeer,
  verifyServerPeer,
} from "./verify-peer.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

const TD = "cluster.local";
const EXPECTED = new Set([TEST_IDENTITY.uri]);
const HOUR_MS = 3_600_000;

const ca = TestAuthority.root();
const good = ca.workload();
const cleanUps: (() => void)[] = [];
after(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

/** What both ends concluded, and whether any application byte reached the server. */
interface Outcome {
  readonly client: PeerVerdict;
  readonly server: PeerVerdict;
  readonly clientSocket: TLSSocket;
  readonly received: string;
}

interface Ends {
  readonly server?: WorkloadCertificate;
  readonly client?: WorkloadCertificate;
  readonly serverOptions?: TlsOptions;
  readonly clientOptions?: ConnectionOptions;
  readonly expected?: ReadonlySet<string>;
}

async function listen(options: TlsOptions): Promise<tls.Server> {
  const server = tls.createServer(options);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUps.push(() => server.close());
  return server;
}

/** Connects as a proxy does; the client sends "hello" as soon as it trusts the server. */
async function connect(ends: Ends): Promise<Outcome> {
  const server = await listen({ ...mtlsServerOptions(ends.server ?? good), ...ends.serverOptions });
  const result = await connectTo(server, ends);
  server.close();
  return result;
}

async function connectTo(server: tls.Server, ends: Ends): Promise<Outcome> {
  let received = "";
  const atServer = new Promise<PeerVerdict>((resolve) => {
    server.once("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => socket.destroy());
      const verdict = verifyClientPeer(socket, TD);
      if (!verdict.ok) socket.destroy();
      socket.on("data", (bytes) => {
        received += bytes;
      });
      socket.on("end", () => socket.end());
      resolve(verdict);
    });
    server.once("tlsClientError", (error, socket) =>
      resolve(describeHandshakeFailure(error, socket)),
    );
  });
  const { port } = server.address() as AddressInfo;
  const context = createWorkloadSecureContext(ends.client ?? good);
  const clientSocket = tls.connect({
    ...mtlsClientOptions(context, ends.expected ?? EXPECTED, TD),
    ...ends.clientOptions,
    host: "127.0.0.1",
    port,
  });
  const closed = new Promise((resolve) => clientSocket.once("close", resolve));
  const client = await new Promise<PeerVerdict>((resolve) => {
    clientSocket.once("secureConnect", () => {
      const verdict = verifyServerPeer(clientSocket, ends.expected ?? EXPECTED, TD);
      if (verdict.ok) clientSocket.end("hello");
      else clientSocket.destroy();
      resolve(verdict);
    });
    clientSocket.on("error", (error) => resolve(describeHandshakeFailure(error)));
  });
  const outcome = { client, server: await atServer, clientSocket };
  clientSocket.resume();
  await closed;
  return { ...outcome, received };
}

function refused(verdict: PeerVerdict, reason: string, text: RegExp): void {
  assert.ok(!verdict.ok, "should have been refused");
  assert.equal(verdict.reason, reason);
  assert.match(verdict.message, text);
}

test("two workloads of one mesh connect and know each other", async () => {
  const { client, server, received } = await connect({});
  assert.deepEqual(client, { ok: true, identity: TEST_IDENTITY });
  assert.deepEqual(server, { ok: true, identity: TEST_IDENTITY });
  assert.equal(received, "hello");
});

test("they speak TLS 1.3, AES-128-GCM and h2, and the client sends no server name", async () => {
  const server = await listen(mtlsServerOptions(good));
  const spoken = new Promise((resolve) => {
    server.once("secureConnection", (socket) => {
      const cipher = socket.getCipher().standardName;
      const { alpnProtocol: alpn, servername } = socket;
      resolve({ protocol: socket.getProtocol(), cipher, alpn, servername });
    });
  });
  const { clientSocket } = await connectTo(server, {});
  assert.deepEqual(await spoken, {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    alpn: "h2",
    servername: false,
  });
  assert.equal(clientSocket.alpnProtocol, "h2");
});

test("AES-128-GCM is taken even if the client prefers AES-256-GCM, which is accepted alone", async () => {
  const cipherWith = async (ciphers: string): Promise<unknown> => {
    const server = await listen(mtlsServerOptions(good));
    const cipher = new Promise((resolve) => {
      server.once("secureConnection", (socket) => resolve(socket.getCipher().standardName));
    });
    const clientOptions = { secureContext: undefined, ...pem(good), ciphers };
    await connectTo(server, { clientOptions });
    return cipher;
  };
  const aes256 = "TLS_AES_256_GCM_SHA384";
  const aes128 = "TLS_AES_128_GCM_SHA256";
  assert.equal(await cipherWith(`${aes256}:${aes128}`), aes128);
  assert.equal(await cipherWith(aes256), aes256);
});

test("a client with P-256 alone is accepted, as a stock ztunnel on OpenSSL is", async () => {
  const options = { secureContext: undefined, ...pem(good), ecdhCurve: "P-256" };
  assert.ok((await connect({ clientOptions: options })).server.ok);
});

test("TLS 1.2, ChaCha20, other curves and other protocols than h2 are refused", async () => {
  const weak: ConnectionOptions[] = [
    { maxVersion: "TLSv1.2", minVersion: "TLSv1.2" },
    { ciphers: "TLS_CHACHA20_POLY1305_SHA256" },
    { ecdhCurve: "P-521" },
    { ALPNProtocols: ["http/1.1"] },
  ];
  for (const options of weak) {
    const clientOptions = { secureContext: undefined, ...pem(good), ...options };
    const { client, server, received } = await connect({ clientOptions });
    refused(server, "tls-failed", /./);
    refused(client, "tls-failed", /./);
    assert.equal(received, "");
  }
});

test("our client refuses a server that speaks only TLS 1.2 or ChaCha20", async () => {
  for (const serverOptions of [
    { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" },
    { ciphers: "TLS_CHACHA20_POLY1305_SHA256" },
  ] as const) {
    refused((await connect({ serverOptions })).client, "tls-failed", /./);
  }
});

test("a client without a certificate is refused before it is a connection", async () => {
  const clientOptions = { secureContext: tls.createSecureContext({ ca: ca.rootsPem }) };
  const { server, received } = await connect({ clientOptions });
  refused(server, "tls-failed", /certificate/);
  assert.equal(received, "");
});

const REFUSED_BY_OPENSSL: readonly [string, WorkloadCertificate, RegExp][] = [
  [
    "of another CA",
    withOurRoots(TestAuthority.root().workload()),
    /VERIFY|ISSUER|SIGNATURE|certificate/,
  ],
  ["that has expired", ca.workload({ notAfter: new Date(Date.now() - 1000) }), /EXPIRED|expired/],
  [
    "that is not valid yet",
    ca.workload({ notBefore: new Date(Date.now() + 600_000) }),
    /NOT_YET_VALID|not yet valid/,
  ],
  [
    "below an intermediate with CA:FALSE",
    ca.intermediate({ basicConstraints: { ca: false } }).workload(),
    /issuer is no CA|certificate signing/,
  ],
  [
    "below a leaf without basic constraints",
    ca.intermediate({ basicConstraints: undefined }).workload(),
    /issuer is no CA|certificate signing/,
  ],
  ["that is a CA", ca.workload({ basicConstraints: { ca: true } }), /INVALID_PURPOSE|purpose/],
  [
    "below an expired intermediate",
    ca.intermediate({ notAfter: new Date(Date.now() - 1000) }).workload(),
    /EXPIRED|expired/,
  ],
];

for (const [what, certificate, text] of REFUSED_BY_OPENSSL) {
  test(`a peer with a certificate ${what} is refused, on either side`, async () => {
    const asClient = await connect({ client: certificate });
    refused(asClient.server, "tls-failed", text);
    assert.equal(asClient.received, "");
    const asServer = await connect({ server: certificate });
    refused(asServer.client, "tls-failed", text);
    assert.equal(asServer.received, "");
  });
}

const names = (...uris: string[]) => uris.map((value) => ({ type: "uri", value }) as const);
const OTHER_TD = makeIdentity("other.example", "default", "test");

const REFUSED_BY_US: readonly [string, WorkloadCertificate, RegExp][] = [
  [
    "of another trust domain",
    ca.workload({ subjectAltNames: names(OTHER_TD.uri) }),
    /trust domain/,
  ],
  [
    "with two identities",
    ca.workload({ subjectAltNames: names(TEST_IDENTITY.uri, OTHER_TD.uri) }),
    /2 URI/,
  ],
  [
    "without an identity",
    ca.workload({ subjectAltNames: [], subject: { commonName: "x" } }),
    /no URI/,
  ],
  ["without key purposes", ca.workload({ keyPurposes: [] }), /extended key usage/],
];

for (const [what, certificate, text] of REFUSED_BY_US) {
  test(`a peer with a certificate ${what} is refused, on either side`, async () => {
    const asClient = await connect({ client: certificate });
    refused(asClient.server, "identity-mismatch", text);
    assert.equal(asClient.received, "");
    const asServer = await connect({ server: certificate });
    refused(asServer.client, "identity-mismatch", text);
    assert.equal(asServer.received, "");
  });
}

test("a certificate for servers alone makes no client, and the other way round", async () => {
  const serverOnly = await connect({ client: ca.workload({ keyPurposes: ["serverAuth"] }) });
  assert.ok(!serverOnly.server.ok);
  const clientOnly = await connect({ server: ca.workload({ keyPurposes: ["clientAuth"] }) });
  assert.ok(!clientOnly.client.ok);
});

test("a server of another identity than expected never gets a byte", async () => {
  const expected = new Set([makeIdentity(TD, "default", "other").uri]);
  const { client, received } = await connect({ expected });
  refused(client, "identity-mismatch", /peer is .*sa\/test, expected .*sa\/other/);
  assert.equal(received, "");
});

test("a wrong server is refused before the connection counts as secure", async () => {
  const server = await listen(mtlsServerOptions(good));
  const { port } = server.address() as AddressInfo;
  const expected = new Set([makeIdentity(TD, "default", "other").uri]);
  const options = mtlsClientOptions(createWorkloadSecureContext(good), expected, TD);
  const socket = tls.connect({ ...options, host: "127.0.0.1", port });
  socket.once("secureConnect", () => assert.fail("secureConnect fired"));
  const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
  assert.equal(describeHandshakeFailure(error).reason, "identity-mismatch");
});

test("no expected identity at all accepts no server", async () => {
  const { client, received } = await connect({ expected: new Set() });
  refused(client, "identity-mismatch", /expected/);
  assert.equal(received, "");
});

test("a peer that OpenSSL has not verified is refused even if the handshake was let through", async () => {
  const stranger = withOurRoots(TestAuthority.root().workload());
  const server = await connect({
    client: stranger,
    serverOptions: { rejectUnauthorized: false },
  });
  refused(server.server, "tls-failed", /refused/);
  const client = await connect({ server: stranger, clientOptions: { rejectUnauthorized: false } });
  refused(client.client, "tls-failed", /refused/);
});

test("chains with intermediates verify, and both roots count while one replaces the other", async () => {
  const next = TestAuthority.root();
  const bothRoots = `${ca.rootsPem}${next.rootsPem}`;
  const old = { ...ca.intermediate().intermediate().workload(), rootsPem: bothRoots };
  const fresh = { ...next.intermediate().workload(), rootsPem: bothRoots };
  const outcome = await connect({ server: old, client: fresh });
  assert.ok(outcome.server.ok && outcome.client.ok);
});

test("a session is never resumed: neither by its own client nor by another identity", async () => {
  const server = await listen(mtlsServerOptions(good));
  const sessions: Buffer[] = [];
  const first = ticketTaker(server, good);
  first.on("session", (session) => sessions.push(session));
  await once(first, "secureConnect");
  await once(server, "secureConnection").catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
  first.destroy();
  assert.ok(sessions.length > 0, "OpenSSL offers something to resume");
  const other = ca.workload({ subjectAltNames: names(makeIdentity(TD, "default", "b").uri) });
  for (const session of sessions) {
    for (const certificate of [good, other]) {
      const socket = ticketTaker(server, certificate, session);
      const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
      await once(socket, "secureConnect");
      const [atServer] = await accepted;
      assert.equal(socket.isSessionReused(), false);
      assert.equal(atServer.isSessionReused(), false);
      const verdict = verifyClientPeer(atServer, TD);
      assert.equal(
        verdict.ok && verdict.identity.serviceAccount,
        certificate === good ? "test" : "b",
      );
      socket.destroy();
    }
  }
});

/** A client that would resume if it could. */
function ticketTaker(
  server: tls.Server,
  certificate: WorkloadCertificate,
  session?: Buffer,
): TLSSocket {
  const { port } = server.address() as AddressInfo;
  const context = createWorkloadSecureContext(certificate);
  const socket = tls.connect({
    ...mtlsClientOptions(context, EXPECTED, TD),
    ...(session && { session }),
    host: "127.0.0.1",
    port,
  });
  socket.on("error", () => socket.destroy());
  return socket.resume();
}

test("a replaced certificate and root count for the next connection", async () => {
  const server = await listen(mtlsServerOptions(good));
  assert.ok((await connectTo(server, {})).server.ok);
  const next = TestAuthority.root();
  server.setSecureContext(mtlsServerOptions(next.workload()));
  assert.ok(!(await connectTo(server, {})).server.ok);
  assert.ok((await connectTo(server, { client: next.workload() })).server.ok);
});

test("a peer that does not finish its handshake is closed in time", async () => {
  assert.equal(mtlsServerOptions(good).handshakeTimeout, TLS_HANDSHAKE_TIMEOUT_MS);
  const server = await listen({ ...mtlsServerOptions(good), handshakeTimeout: 50 });
  const failed = once(server, "tlsClientError") as Promise<[Error, TLSSocket]>;
  const { port } = server.address() as AddressInfo;
  const { connect: connectTcp } = await import("node:net");
  const raw = connectTcp(port, "127.0.0.1");
  raw.on("error", () => raw.destroy());
  raw.write(Buffer.of(0x16, 0x03, 0x01));
  const [error, socket] = await failed;
  refused(describeHandshakeFailure(error, socket), "tls-timeout", /handshake/);
  raw.destroy();
});

test("a workload certificate can be posted to a worker as it is", () => {
  assert.deepEqual(structuredClone(good), good);
  assert.ok(good.notAfter - good.notBefore === 2 * HOUR_MS);
});

function withOurRoots(certificate: WorkloadCertificate): WorkloadCertificate {
  return { ...certificate, rootsPem: ca.rootsPem };
}

function pem(certificate: WorkloadCertificate): ConnectionOptions {
  const { certChainPem: cert, privateKeyPem: key, rootsPem } = certificate;
  return { cert, key, ca: rootsPem };
}
