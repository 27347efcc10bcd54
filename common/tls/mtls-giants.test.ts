/**
 * Certificates that are larger or longer than any of ours, against either end of a real handshake.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_IDENTITY, TestAuthority } from "./authority-fixture.ts";
import { ca, connect, good } from "./handshake-fixture.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

const uri = { type: "uri", value: TEST_IDENTITY.uri } as const;
const dns = (length: number) => ({ type: "dns", value: "a".repeat(length) }) as const;

const GIANTS: readonly [string, () => WorkloadCertificate][] = [
  ["a name of 16 KiB", () => ca.workload({ subjectAltNames: [uri, dns(16 * 1024)] })],
  ["a SPIFFE name of 16 KiB", () => ca.workload({ subjectAltNames: [longUri(16 * 1024)] })],
  ["a thousand names", () => ca.workload({ subjectAltNames: [uri, ...many(1_000)] })],
  ["a chain of 300 certificates", () => withChainOf(300)],
];

const longUri = (length: number) =>
  ({ type: "uri", value: TEST_IDENTITY.uri + "x".repeat(length) }) as const;
const many = (count: number) => Array.from({ length: count }, (_, i) => dns(1 + (i % 50)));

/** A good leaf, with so many certificates behind it that have nothing to do with it. */
function withChainOf(count: number): WorkloadCertificate {
  const leaf = ca.workload();
  const stranger = TestAuthority.root().workload().certChainPem;
  return { ...leaf, certChainPem: leaf.certChainPem + stranger.repeat(count - 1) };
}

for (const [what, certificate] of GIANTS) {
  test(`D4.31 a peer with ${what} gets no byte through, and harms nobody`, async () => {
    const giant = certificate();
    const asClient = await connect({ client: giant });
    const asServer = await connect({ server: giant });
    assert.ok(!asClient.server.ok);
    assert.deepEqual([asClient.received, asServer.received], ["", ""]);
    assert.equal((await connect({ client: good })).received, "hello");
  });
}

test("D4.25 a certificate is good from its first second on, and for clocks up to two minutes behind", async () => {
  const now = Date.now();
  const issuedNow = ca.workload({ notBefore: new Date(now - 120_000) });
  assert.ok((await connect({ client: issuedNow })).server.ok);
  for (const minutes of [3, 10]) {
    // As a certificate issued now, seen by a clock that is so many minutes behind its backdating.
    const notBefore = new Date(now - 120_000 + (minutes + 2) * 60_000);
    assert.ok(!(await connect({ client: ca.workload({ notBefore }) })).server.ok);
  }
});
