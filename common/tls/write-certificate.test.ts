import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseIp } from "#common/model/ip.ts";
import { p256, TEST_IDENTITY, TestAuthority, workloadTemplate } from "./authority-fixture.ts";
import { createSigningRequest } from "./csr.ts";
import {
  certificatePem,
  writeCertificate,
  writeSelfSignedCertificate,
} from "./write-certificate.ts";

const dir = mkdtempSync(join(tmpdir(), "write-certificate-"));
after(() => rmSync(dir, { recursive: true }));

/** Runs the openssl program in a folder with these files. */
function openssl(args: readonly string[], files: Readonly<Record<string, string>> = {}): string {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return execFileSync("openssl", args, { cwd: dir, encoding: "utf8", stdio: "pipe" });
}

test("openssl verifies a workload's chain for both ends of a connection", () => {
  const ca = TestAuthority.root().intermediate();
  const { certChainPem, rootsPem } = ca.workload();
  const [leaf = "", ...intermediates] = certChainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  const files = { root: rootsPem, leaf, intermediates: intermediates.join("") };
  for (const purpose of ["sslserver", "sslclient"]) {
    const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root"];
    const said = openssl([...args, "-untrusted", "intermediates", "leaf"], files);
    assert.equal(said, "leaf: OK\n");
  }
});

test("openssl reads a workload certificate as it was meant", () => {
  const text = openssl(["x509", "-noout", "-text", "-in", "leaf"], {
    leaf: TestAuthority.root().workload().certChainPem,
  });
  const expected = [
    /Version: 3/,
    /Signature Algorithm: ecdsa-with-SHA256/,
    /Subject: *\n/,
    /X509v3 Key Usage: critical\s+Digital Signature\n/,
    /TLS Web Server Authentication, TLS Web Client Authentication/,
    /X509v3 Basic Constraints: critical\s+CA:FALSE/,
    /X509v3 Subject Alternative Name: critical\s+URI:spiffe:.*\/ns\/default\/sa\/test\n/,
    /X509v3 Subject Key Identifier/,
    /X509v3 Authority Key Identifier/,
  ];
  for (const pattern of expected) assert.match(text, pattern);
});

test("openssl accepts our signing request, with the identity as its only name", () => {
  const { csrPem } = createSigningRequest(TEST_IDENTITY);
  const text = openssl(["req", "-noout", "-verify", "-text", "-in", "csr"], { csr: csrPem });
  assert.match(text, /Subject: *\n/);
  assert.match(text, /URI:spiffe:\/\/cluster.local\/ns\/default\/sa\/test/);
});

test("a server's DNS names and addresses of both families are found by name", () => {
  const ca = TestAuthority.root();
  const [v4, v6] = [parseIp("10.0.0.1"), parseIp("fd00::1")];
  assert.ok(v4 && v6);
  const certificate = writeCertificate(
    {
      ...workloadTemplate(p256().publicKey),
      keyPurposes: ["serverAuth"],
      subjectAltNames: [
        { type: "dns", value: "istiod.istio-system.svc" },
        { type: "ip", value: v4 },
        { type: "ip", value: v6 },
      ],
    },
    ca.issuer,
  );
  assert.equal(certificate.checkHost("istiod.istio-system.svc"), "istiod.istio-system.svc");
  assert.equal(certificate.checkIP("10.0.0.1"), "10.0.0.1");
  assert.equal(certificate.checkIP("fd00::1"), "fd00::1");
});

test("serial numbers are 128 bits, positive and different", () => {
  const ca = TestAuthority.root();
  const serials = new Set(Array.from({ length: 50 }, () => ca.workload().serial));
  assert.equal(serials.size, 50);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9a-f]{31}$/);
});

test("an RSA CA, as Istio's own tools make one, can sign", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const template = { ...workloadTemplate(publicKey), basicConstraints: { ca: true } };
  const root = writeSelfSignedCertificate(
    { ...template, subject: { commonName: "r" } },
    privateKey,
  );
  const leafTemplate = workloadTemplate(p256().publicKey);
  const leaf = writeCertificate(leafTemplate, { certificate: root, privateKey });
  assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey));
});

test("a root of other tools keeps its exact name and key identifier in what it issues", () => {
  const subject = "/C=DE/O=T\u00fcv/CN=foreign";
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-384",
    "-nodes",
  ];
  openssl([...request, "-utf8", "-keyout", "key", "-out", "cert", "-days", "2", "-subj", subject]);
  const certificate = new X509Certificate(openssl(["x509", "-in", "cert"]));
  const privateKeyPem = openssl(["pkey", "-in", "key"]);
  const issuer = { certificate, privateKey: createPrivateKey(privateKeyPem) };
  const leaf = writeCertificate(workloadTemplate(p256().publicKey), issuer);
  assert.ok(leaf.checkIssued(certificate) && leaf.verify(certificate.publicKey));
  const said = openssl(["verify", "-CAfile", "cert", "leaf"], {
    leaf: certificatePem(leaf),
  });
  assert.equal(said, "leaf: OK\n");
});

test("dates from 2050 on are written as RFC 5280 wants them", () => {
  const notAfter = new Date("2051-02-03T04:05:06Z");
  const { publicKey, privateKey } = p256();
  const template = { ...workloadTemplate(publicKey), notAfter, subject: { commonName: "r" } };
  const certificate = writeSelfSignedCertificate(template, privateKey);
  assert.equal(certificate.validToDate.getTime(), notAfter.getTime());
});
