import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { p256, TestAuthority, workloadTemplate } from "./authority-fixture.ts";
import { findPath } from "./certificate-path.ts";
import { readPemCertificates } from "./pem.ts";
import { writeCertificate } from "./write-certificate.ts";

const root = TestAuthority.root();
const roots = [root.issuer.certificate];

function leafOf(ca: TestAuthority): X509Certificate {
  return new X509Certificate(ca.workload().certChainPem);
}

function message(...args: Parameters<typeof findPath>): string {
  const verdict = findPath(...args);
  return verdict.ok ? "a path" : verdict.message;
}

test("a path goes over the intermediates in any order, and leaves the root out", () => {
  const upper = root.intermediate();
  const lower = upper.intermediate();
  const leaf = leafOf(lower);
  const between = [upper.issuer.certificate, root.issuer.certificate, lower.issuer.certificate];
  const verdict = findPath(leaf, between, roots, Date.now());
  assert.ok(verdict.ok);
  const wanted = [leaf, lower.issuer.certificate, upper.issuer.certificate];
  assert.deepEqual(
    verdict.path.map((one) => one.serialNumber),
    wanted.map((one) => one.serialNumber),
  );
  assert.equal(verdict.root, roots[0]);
});

test("a root is its own path, and an empty one", () => {
  const verdict = findPath(root.issuer.certificate, [], roots, Date.now());
  assert.deepEqual(verdict.ok && verdict.path, []);
});

test("a certificate whose signature was damaged leads nowhere", () => {
  const bytes = Buffer.from(leafOf(root).raw);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  assert.match(message(new X509Certificate(bytes), [], roots, Date.now()), /no issuer/);
});

test("an issuer that may sign by its key usage but is no CA is none", () => {
  const dir = mkdtempSync(join(tmpdir(), "certificate-path-"));
  try {
    const request = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
    ];
    const extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,keyCertSign"];
    const args = [...request, "-subj", "/CN=x", ...extensions.flatMap((one) => ["-addext", one])];
    execFileSync("openssl", [...args, "-keyout", "key", "-out", "cert"], {
      cwd: dir,
      stdio: "pipe",
    });
    const [certificate] = readPemCertificates(readFileSync(join(dir, "cert"), "utf8"));
    assert.ok(certificate);
    const privateKey = createPrivateKey(readFileSync(join(dir, "key")));
    const leaf = writeCertificate(workloadTemplate(p256().publicKey), { certificate, privateKey });
    assert.match(message(leaf, [], [certificate], Date.now()), /no issuer/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("dates of every certificate on the way count, the root's too", () => {
  const day = 86_400_000;
  const leaf = leafOf(root);
  assert.match(message(leaf, [], roots, Date.now() + day), /expired/);
  assert.match(message(leaf, [], roots, Date.now() - day), /not valid before/);
  const old = TestAuthority.root({ notAfter: new Date(Date.now() - 1_000) });
  assert.match(
    message(leafOf(old), [], [old.issuer.certificate], Date.now()),
    /test root.* expired/,
  );
});
