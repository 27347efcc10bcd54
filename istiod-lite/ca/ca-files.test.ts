import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { p256, TestAuthority } from "#common/tls/authority-fixture.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { workloadIdentityOf } from "#common/tls/spiffe-san.ts";
import { certificatePem } from "#common/tls/write-certificate.ts";
import { CERTIFICATE_BACKDATE_S } from "../limits.ts";
import { caFolder } from "./ca-files.ts";
import { CertificateAuthority, type IssuedCertificate } from "./certificate-authority.ts";

const base = mkdtempSync(join(tmpdir(), "ca-files-"));
after(() => rmSync(base, { recursive: true }));
const WEB = makeIdentity("cluster.local", "shop", "web");
const DAY_MS = 86_400_000;

function newDir(files: Readonly<Record<string, string>> = {}): string {
  const dir = mkdtempSync(join(base, "ca-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

async function load(dir: string, now?: () => number): Promise<CertificateAuthority> {
  const folder = caFolder({ dir, trustDomain: "cluster.local", ...(now && { now }) });
  return new CertificateAuthority(await folder.load(), now);
}

function keyPem(ca: TestAuthority): string {
  return ca.issuer.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/** The four files of a plugged-in CA. */
function pluggedIn(ca: TestAuthority): Record<string, string> {
  return {
    "ca-cert.pem": certificatePem(ca.issuer.certificate),
    "ca-key.pem": keyPem(ca),
    "root-cert.pem": ca.rootsPem,
    "cert-chain.pem": ca.intermediates.map(certificatePem).join("") + ca.rootsPem,
  };
}

async function refuses(dir: string, code: string, text: RegExp, now?: () => number): Promise<void> {
  const before = contents(dir);
  await assert.rejects(load(dir, now), (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.ok(error.hint);
    return true;
  });
  assert.deepEqual(contents(dir), before, "nothing in the folder was touched");
}

function contents(dir: string): string[][] {
  return readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), "utf8")]);
}

function verifies(issued: IssuedCertificate): boolean {
  const [leaf] = readPemCertificates(issued.leafPem);
  assert.ok(leaf);
  const between = issued.intermediatesPem.flatMap(readPemCertificates);
  return findPath(leaf, between, readPemCertificates(issued.rootsPem), Date.now()).ok;
}

test("an empty folder gets a root of its own, whose key only its owner may read", async () => {
  const dir = join(newDir(), "not", "there", "yet");
  const ca = await load(dir);
  assert.deepEqual(readdirSync(dir).sort(), ["root-cert.pem", "root-key.pem"]);
  assert.equal(statSync(join(dir, "root-key.pem")).mode & 0o777, 0o600);
  const root = new X509Certificate(ca.rootsPem);
  assert.equal(root.subject, "O=cluster.local");
  assert.ok(root.ca);
  const years = (root.validToDate.getTime() - Date.now()) / (365 * DAY_MS);
  assert.ok(years > 9.9 && years < 10.1, `${years} years`);
});

test("the same root comes back at the next start", async () => {
  const dir = newDir();
  const first = await load(dir);
  const second = await load(dir);
  assert.equal(second.rootsPem, first.rootsPem);
  const issued = second.issueWorkload(p256().publicKey, WEB, 3600);
  assert.ok(verifies({ ...issued, rootsPem: first.rootsPem }));
});

test("two that start at once in one empty folder end with one root", async () => {
  const dir = newDir();
  const results = await Promise.allSettled([load(dir), load(dir), load(dir)]);
  const roots = new Set<string>();
  for (const result of results) if (result.status === "fulfilled") roots.add(result.value.rootsPem);
  assert.equal(roots.size, 1);
  assert.equal((await load(dir)).rootsPem, [...roots][0]);
});

test("half a root is refused and left as it is", async () => {
  const source = newDir();
  await load(source);
  for (const name of ["root-cert.pem", "root-key.pem"]) {
    const half = newDir({ [name]: readFileSync(join(source, name), "utf8") });
    await refuses(half, "CA_FILES_INCOMPLETE", /root-(cert|key)\.pem but not root-(cert|key)\.pem/);
  }
});

test("a workload certificate has its identity, begins early and ends when asked", async () => {
  const ca = await load(newDir());
  const { publicKey } = p256();
  const issued = ca.issueWorkload(publicKey, WEB, 3600);
  const leaf = new X509Certificate(issued.leafPem);
  assert.equal(workloadIdentityOf(leaf.raw, "clientAuth").uri, WEB.uri);
  assert.equal(workloadIdentityOf(leaf.raw, "serverAuth").uri, WEB.uri);
  assert.ok(leaf.publicKey.equals(publicKey));
  assert.ok(verifies(issued));
  const begins = Date.now() - leaf.validFromDate.getTime();
  assert.ok(Math.abs(begins - CERTIFICATE_BACKDATE_S * 1000) < 5_000, `${begins} ms back`);
  const ends = leaf.validToDate.getTime() - Date.now();
  assert.ok(ends > 3_590_000 && ends <= 3_600_000, `${ends} ms ahead`);
  assert.equal(issued.notAfter, leaf.validToDate.getTime());
});

test("istiod-lite's own certificate is found under its names and serves no client", async () => {
  const ca = await load(newDir());
  const { certChainPem, privateKeyPem } = ca.issueServer(["istiod.istio-system.svc"]);
  const leaf = new X509Certificate(certChainPem);
  assert.equal(leaf.checkHost("istiod.istio-system.svc"), "istiod.istio-system.svc");
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  assert.match(privateKeyPem, /BEGIN PRIVATE KEY/);
});

test("a plugged-in CA issues with its intermediates, the root left out", async () => {
  const root = TestAuthority.root();
  for (const [plugged, count] of [
    [root, 0],
    [root.intermediate(), 1],
    [root.intermediate().intermediate(), 2],
  ] as const) {
    const ca = await load(newDir(pluggedIn(plugged)));
    const issued = ca.issueWorkload(p256().publicKey, WEB, 3600);
    assert.equal(issued.intermediatesPem.length, count);
    for (const pem of issued.intermediatesPem) assert.equal(readPemCertificates(pem).length, 1);
    assert.equal(issued.rootsPem, root.rootsPem);
    assert.ok(verifies(issued));
  }
});

test("a bundle with the next root is handed out as it is", async () => {
  const [root, next] = [TestAuthority.root(), TestAuthority.root()];
  const bundle = next.rootsPem + root.rootsPem;
  const ca = await load(newDir({ ...pluggedIn(root.intermediate()), "root-cert.pem": bundle }));
  assert.equal(ca.rootsPem, bundle);
  assert.ok(verifies(ca.issueWorkload(p256().publicKey, WEB, 3600)));
});

test("an empty chain file will do where the root signed the CA itself", async () => {
  const files = { ...pluggedIn(TestAuthority.root().intermediate()), "cert-chain.pem": "" };
  assert.ok(verifies((await load(newDir(files))).issueWorkload(p256().publicKey, WEB, 60)));
});

test("a plugged-in CA with a file missing is refused, never replaced by a root", async () => {
  const files = pluggedIn(TestAuthority.root().intermediate());
  for (const name of Object.keys(files)) {
    const { [name]: _left, ...rest } = files;
    await refuses(newDir(rest), "CA_FILES_INCOMPLETE", new RegExp(`not ${name}`));
  }
});

test("plugged-in files that do not belong together are refused by name", async () => {
  const root = TestAuthority.root();
  const middle = root.intermediate();
  const good = pluggedIn(middle.intermediate());
  const leaf = root.workload();
  const expired = root.intermediate({ notAfter: new Date(Date.now() - 1000) });
  const future = root.intermediate({ notBefore: new Date(Date.now() + DAY_MS) });
  const narrow = TestAuthority.root({ basicConstraints: { ca: true, pathLength: 0 } });
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ ...good, "ca-key.pem": keyPem(root) }, /ca-key\.pem .*not the key of .*ca-cert\.pem/],
    [{ ...good, "ca-key.pem": "nonsense" }, /ca-key\.pem cannot be used/],
    [{ ...good, "ca-cert.pem": "nonsense" }, /ca-cert\.pem cannot be used/],
    [{ ...good, "root-cert.pem": "nonsense" }, /root-cert\.pem cannot be used/],
    [{ ...good, "cert-chain.pem": "nonsense" }, /cert-chain\.pem cannot be used/],
    [{ ...good, "cert-chain.pem": "" }, /ca-cert\.pem .*no issuer/],
    [{ ...good, "root-cert.pem": TestAuthority.root().rootsPem }, /ca-cert\.pem .*no issuer/],
    [{ ...good, "ca-cert.pem": leaf.certChainPem, "ca-key.pem": leaf.privateKeyPem }, /not a CA/],
    [{ ...good, "root-cert.pem": leaf.certChainPem }, /root-cert\.pem .*not a CA/],
    [pluggedIn(expired), /ca-cert\.pem .*expired/],
    [pluggedIn(expired.intermediate()), /ca-cert\.pem .*expired/],
    [pluggedIn(future), /ca-cert\.pem .*not valid before/],
    [pluggedIn(narrow.intermediate()), /ca-cert\.pem .*no issuer/],
  ];
  for (const [files, text] of cases) await refuses(newDir(files), "CA_FILE_INVALID", text);
});

test("nothing is issued beyond the end of the CA or of an intermediate above it", async () => {
  const ends = Math.floor(Date.now() / 1000) * 1000 + 600_000;
  const short = TestAuthority.root().intermediate({ notAfter: new Date(ends) });
  let now = Date.now();
  const ca = await load(newDir(pluggedIn(short.intermediate())), () => now);
  assert.equal(ca.issueWorkload(p256().publicKey, WEB, 86_400).notAfter, ends);
  assert.equal(ca.issueServer(["istiod"]).notAfter, ends);
  now = ends;
  assert.throws(() => ca.issueWorkload(p256().publicKey, WEB, 60), { code: "CA_EXPIRED" });
});

test("an expired root of our own is refused at the start, not replaced", async () => {
  const dir = newDir();
  await load(dir);
  const later = () => Date.now() + 11 * 365 * DAY_MS;
  await refuses(dir, "CA_FILE_INVALID", /root-cert\.pem .*expired/, later);
});
