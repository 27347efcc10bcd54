/** A ztunnel's way out to a server that is not the destination, or never comes to the point. */
import assert from "node:assert/strict";
import type net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Behaviour } from "#test/support/hbone-listener.ts";
import { createTestCa, issueLeaf } from "#test/support/hbone-peer.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { StandInMesh } from "#test/support/stand-in-mesh.ts";

let mesh: StandInMesh;

before(async () => {
  mesh = await StandInMesh.start();
});

after(() => mesh?.[Symbol.asyncDispose]());

beforeEach(() => mesh.reset());

describe("a server that is not the destination gets no byte of the application (D4.32):", () => {
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);
  const uri = (account: string) => `${SPIFFE}/ns/shop/sa/${account}`;
  const web = { namespace: "shop", serviceAccount: "web" };

  const CASES: Readonly<
    Record<string, readonly [reason: RegExp, behaviour: () => Partial<Behaviour>]>
  > = {
    "another identity of the mesh (D4.32)": [
      /^identity-mismatch$/,
      () => ({ certificate: mesh.leaf("other") }),
    ],
    "the same account of another namespace (D4.32)": [
      /^identity-mismatch$/,
      () => ({ certificate: issueLeaf(mesh.ca, { namespace: "bank", serviceAccount: "web" }) }),
    ],
    "another CA (D4.22)": [/^tls-failed$/, () => ({ certificate: issueLeaf(createTestCa(), web) })],
    "another trust domain (D4.23)": [
      /^identity-mismatch$/,
      () => ({ certificate: issueLeaf(mesh.ca, { ...web, trustDomain: "evil.local" }) }),
    ],
    "no name (D4.24)": [
      /^identity-mismatch$/,
      () => ({ certificate: mesh.leaf("web", { uris: [] }) }),
    ],
    "two names, the right one first (D4.24)": [
      /^identity-mismatch$/,
      () => ({ certificate: mesh.leaf("web", { uris: [uri("web"), uri("other")] }) }),
    ],
    "an expired certificate (D4.25)": [
      /^tls-failed$/,
      () => ({ certificate: mesh.leaf("web", { notBefore: hours(-2), notAfter: hours(-1) }) }),
    ],
    "a certificate for clients only (D4.26)": [
      /^(tls-failed|identity-mismatch)$/,
      () => ({ certificate: mesh.leaf("web", { purposes: ["clientAuth"] }) }),
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
      mesh.listener.behaviour = { ...mesh.good, ...behaviour() };
      const { how, received, record } = await mesh.call();
      assert.deepEqual([how, received], ["reset", ""]);
      assert.match(record.reason ?? "", reason);
      assert.equal(record.level, "error");
      assert.equal(
        mesh.listener.tunnels.reduce((sum, { streams }) => sum + streams, 0),
        0,
      );
    });
  }
});

describe("a server that takes its time", { concurrency: true }, () => {
  test("over its handshake is given up after 5 s", async () => {
    await mesh.listen("stalled", { ...mesh.good, onSocket: (socket) => void socket.resume() });
    const startedAt = performance.now();
    const { how, record } = await mesh.call("stalled");
    assert.equal(how, "reset");
    assert.equal(record.reason, "tls-timeout");
    assert.ok(performance.now() - startedAt < 12_000);
  });

  test("over its answer to CONNECT is given up after 12 s", async () => {
    await mesh.listen("silent", { certificate: mesh.leaf("silent"), onStream: () => undefined });
    const { how, record } = await mesh.call("silent");
    assert.equal(how, "reset");
    assert.equal(record.reason, "connect-timeout");
  });
});
