/** Who is refused in the handshake on a captured pod's 15008, and what the log says of it. */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { waitForRecord } from "#test/support/access-log.ts";
import {
  connectHbone,
  connectTo,
  createTestCa,
  issueLeaf,
  type PeerOptions,
} from "#test/support/hbone-peer.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { readToEnd } from "#test/support/pod-sockets.ts";
import { CLIENT, HBONE, RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";

let mesh: RawHboneMesh;

before(async () => {
  mesh = await RawHboneMesh.start();
});

after(() => mesh?.[Symbol.asyncDispose]());

describe("a client is refused in its handshake, and that is logged,", () => {
  const client = { namespace: "shop", serviceAccount: "client" };
  const uri = (account: string) => `${SPIFFE}/ns/shop/sa/${account}`;
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);

  const CASES: Readonly<Record<string, () => Partial<PeerOptions>>> = {
    "without a certificate (D4.21)": () => ({ certificate: undefined as never }),
    "of another CA (D4.22)": () => ({ certificate: issueLeaf(createTestCa(), client) }),
    "of another trust domain (D4.23)": () => ({
      certificate: issueLeaf(mesh.ca, { ...client, trustDomain: "evil.local" }),
    }),
    "of the trust domain in capitals (D4.24)": () => ({
      certificate: mesh.leaf("client", { uris: ["spiffe://CLUSTER.LOCAL/ns/shop/sa/client"] }),
    }),
    "without a name (D4.24)": () => ({ certificate: mesh.leaf("client", { uris: [] }) }),
    "with two SPIFFE names (D4.24)": () => ({
      certificate: mesh.leaf("client", { uris: [uri("client"), uri("friend")] }),
    }),
    "with an escaped name (D4.24)": () => ({
      certificate: mesh.leaf("client", { uris: ["spiffe://mesh.cluster.local/ns/a%2fb/sa/x"] }),
    }),
    "with an expired certificate (D4.25)": () => ({
      certificate: mesh.leaf("client", { notBefore: hours(-2), notAfter: hours(-1) }),
    }),
    "with a certificate that is not valid yet (D4.25)": () => ({
      certificate: mesh.leaf("client", { notBefore: hours(1), notAfter: hours(2) }),
    }),
    "with a certificate for servers only (D4.26)": () => ({
      certificate: mesh.leaf("client", { purposes: ["serverAuth"] }),
    }),
    "with TLS 1.2 (D4.27)": () => ({ maxVersion: "TLSv1.2" }),
    "with ChaCha20 only (D4.27)": () => ({ ciphers: "TLS_CHACHA20_POLY1305_SHA256" }),
    "with http/1.1 only (D4.28)": () => ({ ALPNProtocols: ["http/1.1"] }),
    "without ALPN (D4.28)": () => ({ ALPNProtocols: [] }),
  };
  for (const [title, options] of Object.entries(CASES)) {
    test(title, async () => {
      const { certificate, ...rest } = options();
      const all = await mesh.peerOptions("guarded", rest);
      const { localPort } = all.socket as net.Socket;
      const { certificate: own, ...without } = all;
      const offered = "certificate" in options() ? certificate : own;
      const session = connectHbone({ ...without, ...(offered && { certificate: offered }) });
      await assert.rejects(session);
      const source = `${await mesh.cluster.podIp(CLIENT)}:${localPort}`;
      const record = await waitForRecord(mesh.cluster, "node2", { "src.addr": source });
      assert.match(record.reason ?? "", /^(tls-failed|identity-mismatch|h2-failed)$/);
      assert.equal(record.level, "error");
      assert.equal(record["src.identity"], undefined);
    });
  }

  test("by the hundred and without a word, while others get in (D4.30)", async () => {
    const ip = await mesh.cluster.podIp("shop/web");
    const silent = await mesh.sockets.dialMany(CLIENT, { ip, port: HBONE }, 500);
    const closed = silent.map((socket) => readToEnd(socket));
    const session = await mesh.open();
    assert.equal((await connectTo(session, await mesh.authorityOf("web"))).status, 200);
    session.destroy();
    for (const { how } of await Promise.all(closed)) assert.notEqual(how, "closed");
  });
});

test("D4.76 afterwards ztunnel is the same process, ready, and serves its pods", () =>
  mesh.assertUnharmed());
