/** What becomes of mesh peers whose certificates are revoked or end, at a captured pod's 15008. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { readRevocationLists } from "#common/tls/crl.ts";
import { writeCrl } from "#common/tls/crl-fixture.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { connectTo, issueLeaf } from "#test/support/hbone-peer.ts";
import { InboundFixture, POD_IP } from "./inbound-fixture.ts";

let fixture: InboundFixture;
before(async () => {
  fixture = await InboundFixture.start();
});
beforeEach(() => {
  fixture.setRevocations();
  fixture.closures.length = 0;
});
after(() => fixture.stop());

function issue(notAfter?: Date): WorkloadCertificate {
  const identity = { namespace: "shop", serviceAccount: "client" };
  return issueLeaf(fixture.ca, identity, notAfter && { notAfter });
}

function revoke(...certificates: readonly WorkloadCertificate[]): void {
  const leaves = certificates.map(({ certChainPem }) => new X509Certificate(certChainPem));
  fixture.setRevocations(...readRevocationLists(writeCrl(fixture.ca, leaves)));
}

const target = (): string => `${POD_IP}:${fixture.appPort}`;

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) assert.fail(`it never came to be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("D4.36 a revoked peer is cut off with all its connections, others go on", async () => {
  const [bad, good] = [issue(), issue()];
  const [badSession, goodSession] = [await fixture.dial(bad), await fixture.dial(good)];
  const badStreams = [await connectTo(badSession, target()), await connectTo(badSession, target())];
  const goodStream = await connectTo(goodSession, target());
  for (const { status } of [...badStreams, goodStream]) assert.equal(status, 200);
  badSession.on("error", () => undefined);
  for (const { stream } of badStreams) stream.on("error", () => undefined).resume();
  revoke(bad);
  await until("the revoked session is closed", () => badSession.destroyed);
  await until("both connections were reported", () => fixture.closures.length === 2);
  for (const why of fixture.closures) {
    assert.equal(why?.reason, "certificate-revoked");
    assert.equal(why?.message, "connection closed: peer certificate revoked by CRL");
  }
  goodStream.stream.write("still here");
  await once(goodStream.stream, "data");
  goodSession.destroy();
});

test("D4.36 a revoked peer is not let in, and is let in again where the list is taken back", async () => {
  const certificate = issue();
  revoke(certificate);
  await assert.rejects(fixture.dial(certificate).then((session) => connectTo(session, target())));
  await until("the refusal is reported", () => fixture.lastRefusal !== undefined);
  assert.equal(fixture.lastRefusal?.reason, "certificate-revoked");
  fixture.setRevocations();
  const session = await fixture.dial(certificate);
  assert.equal((await connectTo(session, target())).status, 200);
  session.destroy();
});

test("D4.33 a peer whose certificate ends is sent away when its connections are over", async () => {
  // In whole seconds, as a certificate says it.
  const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 4_000);
  const session = await fixture.dial(issue(notAfter));
  session.on("error", () => undefined);
  const { stream } = await connectTo(session, target());
  const late = AbortSignal.timeout(60_000);
  await once(session, "goaway", { signal: late });
  assert.ok(Date.now() >= notAfter.getTime());
  stream.resume().write("the connection that stands goes on");
  await once(stream, "data");
  const next = await connectTo(session, target()).then(
    ({ status }) => status,
    () => "refused",
  );
  assert.notEqual(next, 200);
  stream.end();
  await until("the tunnel is closed", () => session.destroyed);
});
