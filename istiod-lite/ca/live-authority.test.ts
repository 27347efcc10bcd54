import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { p256, TestAuthority } from "#common/tls/authority-fixture.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { certificatePem } from "#common/tls/write-certificate.ts";
import { caFolder } from "./ca-files.ts";
import { LiveAuthority } from "./live-authority.ts";

const base = mkdtempSync(join(tmpdir(), "live-ca-"));
after(() => rmSync(base, { recursive: true }));
const WEB = makeIdentity("cluster.local", "shop", "web");

async function start(files: Readonly<Record<string, string>> = {}) {
  const dir = mkdtempSync(join(base, "ca-"));
  write(dir, files);
  const log: string[] = [];
  const logger = createLogger({ level: "info", format: "text", write: (line) => log.push(line) });
  const live = await LiveAuthority.load({
    store: caFolder({ dir, trustDomain: "cluster.local" }),
    logger,
  });
  let changes = 0;
  live.onChange(() => {
    changes++;
  });
  return { dir, live, log, changes: () => changes };
}

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
}

function pluggedIn(ca: TestAuthority, roots = ca.rootsPem): Record<string, string> {
  return {
    "ca-cert.pem": certificatePem(ca.issuer.certificate),
    "ca-key.pem": ca.issuer.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    "root-cert.pem": roots,
    "cert-chain.pem": ca.intermediates.map(certificatePem).join(""),
  };
}

/** Whether what is issued now leads to this root, and how many roots come with it. */
function issuedBy(live: LiveAuthority, ca: TestAuthority): { ours: boolean; roots: number } {
  const issued = live.current.issueWorkload(p256().publicKey, WEB, 3_600);
  const [leaf, ...intermediates] = readPemCertificates(
    [issued.leafPem, ...issued.intermediatesPem].join(""),
  );
  assert.ok(leaf);
  const { ok } = findPath(leaf, intermediates, readPemCertificates(ca.rootsPem), Date.now());
  return { ours: ok, roots: readPemCertificates(issued.rootsPem).length };
}

/** Two looks: a change is taken when the files rest. */
async function settle(live: LiveAuthority): Promise<void> {
  await live.check();
  await live.check();
}

test("a root is replaced live: old, both, new signer with both, new", async () => {
  const [before, next] = [TestAuthority.root(), TestAuthority.root()];
  const { dir, live, changes } = await start(pluggedIn(before));
  assert.deepEqual(issuedBy(live, before), { ours: true, roots: 1 });
  const both = before.rootsPem + next.rootsPem;

  write(dir, pluggedIn(before, both));
  await settle(live);
  assert.deepEqual(issuedBy(live, before), { ours: true, roots: 2 });
  write(dir, pluggedIn(next, both));
  await settle(live);
  assert.deepEqual(issuedBy(live, next), { ours: true, roots: 2 });
  assert.equal(issuedBy(live, before).ours, false);
  write(dir, pluggedIn(next));
  await settle(live);
  assert.deepEqual(issuedBy(live, next), { ours: true, roots: 1 });
  assert.equal(changes(), 3);
});

test("a root that istiod-lite made itself can be replaced the same way", async () => {
  const { dir, live } = await start();
  const own = await readFile(join(dir, "root-cert.pem"), "utf8");
  const next = TestAuthority.root();
  write(dir, { "root-cert.pem": next.rootsPem + own });
  await settle(live);
  const [, trusted] = readPemCertificates(live.current.rootsPem);
  assert.equal(trusted?.fingerprint256, new X509Certificate(own).fingerprint256);
  const issued = live.current.issueWorkload(p256().publicKey, WEB, 3_600);
  assert.ok(new X509Certificate(issued.leafPem).verify(new X509Certificate(own).publicKey));
});

test("files that cannot be used leave the last good CA in force, and say so once", async () => {
  const ca = TestAuthority.root();
  const { dir, live, log, changes } = await start(pluggedIn(ca));
  const broken: Record<string, string>[] = [
    { "ca-cert.pem": "garbage" },
    pluggedIn(ca, TestAuthority.root().rootsPem),
    { ...pluggedIn(ca), "ca-key.pem": pluggedIn(TestAuthority.root())["ca-key.pem"] ?? "" },
  ];
  for (const files of broken) {
    write(dir, files);
    log.length = 0;
    await settle(live);
    await settle(live);
    assert.equal(issuedBy(live, ca).ours, true);
    assert.equal(log.filter((line) => line.includes("last good CA stays in force")).length, 1);
  }
  for (const name of Object.keys(pluggedIn(ca))) rmSync(join(dir, name));
  await settle(live);
  assert.equal(issuedBy(live, ca).ours, true, "an emptied folder gets no new root either");
  write(dir, pluggedIn(ca));
  await settle(live);
  assert.equal(changes(), 0, "the CA that was in force all the time is no other one");
});

test("files that are still being written are not taken", async () => {
  const [before, next] = [TestAuthority.root(), TestAuthority.root()];
  const { dir, live } = await start(pluggedIn(before));
  write(dir, { "root-cert.pem": before.rootsPem + next.rootsPem });
  await live.check();
  write(dir, pluggedIn(next));
  await live.check();
  assert.equal(issuedBy(live, before).ours, true);
  await live.check();
  assert.equal(issuedBy(live, next).ours, true);
});
