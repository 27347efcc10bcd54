/** TLS on 15008 against clients that should not get in. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { TLS_HANDSHAKE_TIMEOUT_MS } from "#common/transport/limits.ts";
import {
  connectHbone,
  connectTls,
  connectTo,
  createTestCa,
  issueLeaf,
  type LeafOptions,
} from "#test/support/hbone-peer.ts";
import { InboundFixture, POD_IP } from "./inbound-fixture.ts";

let fixture: InboundFixture;
before(async () => {
  fixture = await InboundFixture.start();
});
after(() => fixture.stop());

describe("a client is refused", () => {
  const id = { namespace: "shop", serviceAccount: "client" };
  const bad: readonly [string, () => ReturnType<typeof issueLeaf> | undefined][] = [
    ["without a certificate", () => undefined],
    ["of another CA", () => issueLeaf(createTestCa("other"), id)],
    ["of another trust domain", () => issueLeaf(fixture.ca, { ...id, trustDomain: "evil.local" })],
    ["whose certificate has expired", () => leaf({ notAfter: new Date(Date.now() - 1000) })],
    ["whose certificate is not valid yet", () => leaf({ notBefore: new Date(Date.now() + 9e6) })],
    ["with two SPIFFE names", () => leaf({ uris: [uri("client"), uri("admin")] })],
    ["without a name", () => leaf({ uris: [] })],
    ["with an escaped name", () => leaf({ uris: ["spiffe://cluster.local/ns/a%2fb/sa/x"] })],
    ["whose key is not for clients", () => leaf({ purposes: ["serverAuth"] })],
  ];
  const leaf = (options: LeafOptions) => issueLeaf(fixture.ca, id, options);
  const uri = (account: string) => makeIdentity("cluster.local", "shop", account).uri;

  for (const [name, certificate] of bad) {
    test(name, async () => {
      const offered = certificate();
      const before = fixture.refusals.length;
      await assert.rejects(
        connectHbone({
          host: POD_IP,
          port: fixture.hbonePort,
          ...(offered && { certificate: offered }),
        }).then((session) => connectTo(session, `${POD_IP}:${fixture.appPort}`)),
      );
      while (fixture.refusals.length === before)
        await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(fixture.refusals.length, before + 1);
      assert.match(fixture.refusals.at(-1)?.meta.sourceAddress?.ip ?? "", /^127\./);
      assert.ok(["tls-failed", "identity-mismatch"].includes(fixture.lastRefusal?.reason ?? ""));
    });
  }

  test("that speaks TLS 1.2 only", async () => {
    const options = { host: POD_IP, port: fixture.hbonePort, certificate: fixture.client };
    await assert.rejects(connectTls({ ...options, maxVersion: "TLSv1.2" }));
  });

  test("that does not finish its handshake, within the time limit, while others get in", async () => {
    const silent = net.connect(fixture.hbonePort, POD_IP);
    silent.on("error", () => undefined);
    await once(silent, "connect");
    const startedAt = performance.now();
    const session = await fixture.dial();
    assert.equal((await connectTo(session, `${POD_IP}:${fixture.appPort}`)).status, 200);
    session.destroy();
    silent.resume();
    await once(silent, "close");
    assert.ok(performance.now() - startedAt < TLS_HANDSHAKE_TIMEOUT_MS + 3000);
    assert.equal(fixture.lastRefusal?.reason, "tls-timeout");
  });
});
