import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestAuthority } from "#common/tls/authority-fixture.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import { crlPem, writeCrl } from "#common/tls/crl-fixture.ts";
import { MAX_CRL_BYTES } from "#common/tls/limits.ts";
import { CrlFile } from "./crl-file.ts";

const base = mkdtempSync(join(tmpdir(), "crl-file-"));
after(() => rmSync(base, { recursive: true }));
const ca = TestAuthority.root();
const leaf = () => new X509Certificate(ca.workload().certChainPem);
const HOUR_MS = 3_600_000;

function setUp(now?: () => number) {
  const path = join(mkdtempSync(join(base, "f-")), "ca-crl.pem");
  const log: string[] = [];
  const delivered: (readonly RevocationList[])[] = [];
  const file = new CrlFile({
    path,
    onLists: (lists) => delivered.push(lists),
    logger: createLogger({ level: "info", format: "text", write: (line) => log.push(line) }),
    ...(now && { now }),
  });
  /** As a mounted ConfigMap changes: another file takes the place. */
  const put = (content: string | Uint8Array): void => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  };
  const errors = () => log.filter((line) => line.includes("cannot be used")).length;
  return { path, file, put, log, errors, delivered };
}

test("a changed file counts at the next look, an unchanged one is not read again", async () => {
  const { file, put, delivered } = setUp();
  put(crlPem(writeCrl(ca.issuer, [leaf()])));
  await file.check();
  await file.check();
  assert.deepEqual([delivered.length, file.status.revoked], [1, 1]);
  put(writeCrl(ca.issuer, [leaf(), leaf()]));
  await file.check();
  assert.deepEqual([delivered.length, file.status.revoked], [2, 2]);
});

const UNUSABLE: readonly [string, string | Uint8Array][] = [
  ["garbage", "not a list at all"],
  ["half a list", writeCrl(ca.issuer, [leaf()]).subarray(0, 50)],
  ["another kind of PEM", ca.rootsPem],
  ["a huge file", Buffer.alloc(MAX_CRL_BYTES + 1)],
];
for (const [what, content] of UNUSABLE) {
  test(`${what} leaves the last good list in force, and is told once`, async () => {
    const { file, put, errors, delivered } = setUp();
    put(writeCrl(ca.issuer, [leaf()]));
    await file.check();
    put(content);
    for (let i = 0; i < 3; i++) await file.check();
    assert.deepEqual([errors(), delivered.length, file.status.revoked], [1, 1, 1]);
    assert.equal(file.status.failing, true);
    put(writeCrl(ca.issuer, [leaf(), leaf()]));
    await file.check();
    assert.deepEqual([file.status.failing, file.status.revoked], [false, 2]);
  });
}

test("a file that is not there (yet, or any more) is told once, and changes nothing", async () => {
  const { path, file, put, log, errors, delivered } = setUp();
  for (let i = 0; i < 3; i++) await file.check();
  assert.deepEqual([errors(), delivered.length, file.status.failing], [0, 0, false]);
  assert.equal(log.filter((line) => line.includes("no revocation lists yet")).length, 1);
  put(writeCrl(ca.issuer, [leaf()]));
  await file.check();
  assert.deepEqual([file.status.failing, file.status.revoked], [false, 1]);
  rmSync(path);
  for (let i = 0; i < 3; i++) await file.check();
  assert.deepEqual([errors(), delivered.length, file.status.revoked], [1, 1, 1]);
});

test("an empty file takes revocations back only if it stays empty", async () => {
  const { file, put, delivered } = setUp();
  put(writeCrl(ca.issuer, [leaf()]));
  await file.check();
  put("");
  await file.check();
  assert.equal(file.status.revoked, 1);
  put(writeCrl(ca.issuer, [leaf(), leaf()]));
  await file.check();
  assert.equal(file.status.revoked, 2);
  put("");
  await file.check();
  await file.check();
  assert.deepEqual([file.status.revoked, delivered.length], [0, 3]);
});

test("an overdue list stays in force, and is told of once an hour", async () => {
  let now = Date.now();
  const { file, put, log } = setUp(() => now);
  put(writeCrl(ca.issuer, [leaf()], { nextUpdate: new Date(now + HOUR_MS) }));
  await file.check();
  const overdue = () => log.filter((line) => line.includes("overdue")).length;
  assert.equal(overdue(), 0);
  now += HOUR_MS + 1_000;
  await file.check();
  await file.check();
  assert.deepEqual([overdue(), file.status.revoked], [1, 1]);
  assert.ok((file.status.nextUpdate ?? 0) < now);
  now += HOUR_MS;
  await file.check();
  assert.equal(overdue(), 2);
});
