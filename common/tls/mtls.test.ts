import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { test } from "node:test";
import tls, { type ConnectionOptions, type TLSSocket } from "node:tls";
import { makeIdentity } from "#common/model/identity.ts";
import { TEST_IDENTITY, TestAuthority } from "./authority-fixture.ts";
import {
  ca,
  connect,
  connectTo,
  EXPECTED,
  good,
  listen,
  refused,
  TD,
} from "./handshake-fixture.ts";
import { TLS_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import {
  createWorkloadSecureContext,
  mtlsClientOptions,
  mtlsServerOptions,
} from "./mtls-options.ts";
import { describeHandshakeFailure, verifyClientPeer } from "./verify-peer.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

const HOUR_MS = 3_600_000;
const names = (...uris: string[]) => uris.map((value) => ({ type: "uri", value }) as const);

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

test("AES-128-GCM is taken before AES-256-GCM, which is accepted alone", async () => {
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

test("chains verify, and both roots count while one replaces the other", async () => {
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
  if (sessions.length === 0) await once(first, "session", { signal: AbortSignal.timeout(20_000) });
  first.destroy();
  const other = ca.workload({ subjectAltNames: names(makeIdentity(TD, "default", "b").uri) });
  for (const session of sessions) {
    for (const certificate of [good, other]) {
      const socket = ticketTaker(server, certificate, session);
      const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
      await once(socket, "secureConnect");
      const [atServer] = await accepted;
      assert.equal(socket.isSessionReused(), false);
      assert.equal(atServer.isSessionReused(), false);
      const verdict = verifyClientPeer(atServer, [TD]);
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
    ...mtlsClientOptions(context, EXPECTED, [TD]),
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

function pem(certificate: WorkloadCertificate): ConnectionOptions {
  const { certChainPem: cert, privateKeyPem: key, rootsPem } = certificate;
  return { cert, key, ca: rootsPem };
}
