import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import { writeCrl } from "#common/tls/crl-fixture.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { TrustFiles } from "./trust-files.ts";

const base = mkdtempSync(join(tmpdir(), "trust-"));
after(() => rmSync(base, { recursive: true }));
const ca = TestAuthority.root();

function setUp(t: { after(done: () => void): void }, options: { crl?: Uint8Array } = {}) {
  const dir = mkdtempSync(join(base, "t-"));
  const rootCertFile = join(dir, "root-cert.pem");
  const crlPath = join(dir, "ca-crl.pem");
  writeFileSync(rootCertFile, ca.rootsPem);
  if (options.crl !== undefined) writeFileSync(crlPath, options.crl);
  const certificate = ca.workload();
  const calls: string[] = [];
  const trust = new TrustFiles({
    rootCertFile,
    crlPath: options.crl && crlPath,
    certificates: {
      renewAll: () => void calls.push("all"),
      renew: (uri) => void calls.push(uri),
      *statuses() {
        yield { identity: certificate.identity, status: { state: "available", certificate } };
      },
    },
    onLists: (lists) => void calls.push(`${lists.length} lists`),
    logger: createLogger({ level: "error", format: "text", write: () => undefined }),
  });
  t.after(() => trust.close());
  return { trust, calls, certificate, rootCertFile, crlPath };
}

const crlOf = (...certificates: readonly WorkloadCertificate[]) =>
  writeCrl(
    ca.issuer,
    certificates.map(({ certChainPem }) => new X509Certificate(certChainPem)),
  );

test("other roots renew everything, once; the same roots, or a file that is gone, nothing", async (t) => {
  const { trust, calls, rootCertFile } = setUp(t);
  await trust.start();
  await trust.check();
  assert.deepEqual(calls, []);
  writeFileSync(rootCertFile, ca.rootsPem + TestAuthority.root().rootsPem);
  await trust.check();
  await trust.check();
  assert.deepEqual(calls, ["all"]);
  rmSync(rootCertFile);
  await trust.check();
  assert.deepEqual(calls, ["all"]);
});

test("revocations are followed from the start, and those of others concern no certificate here", async (t) => {
  const { trust, calls } = setUp(t, { crl: crlOf(ca.workload()) });
  await trust.start();
  assert.deepEqual(calls, ["0 lists", "1 lists"]);
  assert.equal(trust.crlStatus?.revoked, 1);
});

test("one of our own certificates that is revoked is renewed", async (t) => {
  const { trust, calls, certificate, crlPath } = setUp(t, { crl: crlOf() });
  await trust.start();
  calls.length = 0;
  writeFileSync(crlPath, crlOf(certificate, ca.workload()));
  while (calls.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(calls, ["1 lists", certificate.identity.uri]);
});

test("without CRL_PATH nobody's chain is kept", async (t) => {
  const { trust, calls } = setUp(t);
  await trust.start();
  assert.deepEqual([calls, trust.crlStatus], [[], undefined]);
});
