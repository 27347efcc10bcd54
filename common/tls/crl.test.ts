import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshError } from "#common/runtime/errors.ts";
import { p256, TestAuthority, workloadTemplate } from "./authority-fixture.ts";
import { isListed, isSignedBy, readRevocationLists, SERIAL_BYTES } from "./crl.ts";
import { crlPem, writeCrl } from "./crl-fixture.ts";
import * as der from "./der-writer.ts";
import { MAX_CRL_BYTES, MAX_CRLS } from "./limits.ts";
import { writeCertificate } from "./write-certificate.ts";
import { readIssuerAndSerial } from "./x509-extensions.ts";

const ca = TestAuthority.root();
const leaves = Array.from({ length: 20 }, () =>
  writeCertificate(workloadTemplate(p256().publicKey), ca.issuer),
);
const serialOf = (leaf: (typeof leaves)[number]) => readIssuerAndSerial(leaf.raw).serial;
const OID_IDP = "2.5.29.28";

function one(file: Uint8Array | string) {
  const [list] = readRevocationLists(Buffer.from(file));
  assert.ok(list);
  return list;
}

test("a list names what it revokes, whoever signed it is told by the signature", () => {
  const revoked = leaves.slice(0, 7);
  for (const file of [writeCrl(ca.issuer, revoked), crlPem(writeCrl(ca.issuer, revoked))]) {
    const list = one(file);
    for (const leaf of leaves) assert.equal(isListed(list, serialOf(leaf)), revoked.includes(leaf));
    assert.ok(isSignedBy(list, ca.issuer.certificate.publicKey));
    assert.ok(!isSignedBy(list, p256().publicKey));
    assert.ok((list.nextUpdate ?? 0) > Date.now() && list.thisUpdate < Date.now());
  }
});

test("one file may hold the lists of several CAs; an empty one revokes nothing", () => {
  const other = TestAuthority.root();
  const lists = readRevocationLists(
    Buffer.from(crlPem(writeCrl(ca.issuer, leaves), writeCrl(other.issuer, []))),
  );
  assert.deepEqual(
    lists.map(({ serials }) => serials.length / SERIAL_BYTES),
    [20, 0],
  );
  assert.deepEqual(readRevocationLists(Buffer.from("")), []);
  assert.deepEqual(readRevocationLists(Buffer.from(" \n")), []);
});

test("a list without a next update, and times beyond 2049, are read", () => {
  const thisUpdate = new Date("2049-12-31T23:59:59Z");
  const nextUpdate = new Date("2050-01-01T00:00:00Z");
  const list = one(writeCrl(ca.issuer, [], { thisUpdate, nextUpdate }));
  assert.deepEqual([list.thisUpdate, list.nextUpdate], [+thisUpdate, +nextUpdate]);
  assert.equal(one(writeCrl(ca.issuer, leaves, { nextUpdate: null })).nextUpdate, undefined);
});

test("a serial number is the same with or without zeros in front", () => {
  const list = one(
    writeCrl(ca.issuer, [], { serials: [Uint8Array.of(0, 0x80), Uint8Array.of(1, 0)] }),
  );
  assert.ok(isListed(list, Uint8Array.of(0x80)));
  assert.ok(isListed(list, Uint8Array.of(0, 0, 0x80)));
  assert.ok(isListed(list, Uint8Array.of(1, 0)));
  assert.ok(!isListed(list, Uint8Array.of(1)));
  assert.ok(!isListed(list, new Uint8Array(SERIAL_BYTES + 1).fill(1)));
});

const indirect = der.sequence(der.contextPrimitive(4, Uint8Array.of(0xff)));
const partial = der.sequence(der.contextPrimitive(1, Uint8Array.of(0xff)));
const REFUSED: readonly [string, string | Uint8Array, string][] = [
  ["text that is no PEM", "garbage", "DER_MALFORMED"],
  ["another kind of PEM", ca.rootsPem, "DER_MALFORMED"],
  ["a certificate in DER", leaves[0]?.raw ?? "", "DER_MALFORMED"],
  ["a truncated list", writeCrl(ca.issuer, leaves).subarray(0, -10), "DER_MALFORMED"],
  ["bytes after the end", Buffer.concat([writeCrl(ca.issuer, []), Buffer.of(0)]), "DER_MALFORMED"],
  ["a huge file", Buffer.alloc(MAX_CRL_BYTES + 1, 0x30), "CRL_TOO_LARGE"],
  [
    "too many lists",
    crlPem(...new Array<Buffer>(MAX_CRLS + 1).fill(writeCrl(ca.issuer, []))),
    "CRL_TOO_LARGE",
  ],
  [
    "a delta to another list",
    writeCrl(ca.issuer, [], {
      extensions: [{ oid: "2.5.29.27", critical: true, value: der.integer(1) }],
    }),
    "CRL_UNSUPPORTED",
  ],
  [
    "an indirect list",
    writeCrl(ca.issuer, [], { extensions: [{ oid: OID_IDP, critical: true, value: indirect }] }),
    "CRL_UNSUPPORTED",
  ],
  [
    "a critical extension that nobody knows",
    writeCrl(ca.issuer, [], {
      extensions: [{ oid: "1.2.3.4", critical: true, value: der.nullValue() }],
    }),
    "CRL_UNSUPPORTED",
  ],
];
for (const [what, file, code] of REFUSED) {
  test(`${what} is refused as a whole`, () => {
    assert.throws(() => readRevocationLists(Buffer.from(file)), { code });
  });
}

test("a list for some certificates only, and unknown extensions that matter little, are taken", () => {
  const extensions = [
    { oid: OID_IDP, critical: true, value: partial },
    { oid: "2.5.29.20", critical: false, value: der.integer(7) },
  ];
  const list = one(writeCrl(ca.issuer, leaves.slice(0, 1), { extensions }));
  assert.equal(list.serials.length, SERIAL_BYTES);
});

test("damaged lists are refused by name, or keep a signature that is wrong", () => {
  const good = writeCrl(ca.issuer, leaves);
  const key = ca.issuer.certificate.publicKey;
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ flip;
      try {
        for (const list of readRevocationLists(bad)) assert.ok(!isSignedBy(list, key));
      } catch (error) {
        if (!(error instanceof MeshError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

test("a list of 50,000 is read and searched quickly enough for a control thread", () => {
  const serials = Array.from({ length: 50_000 }, (_, i) => {
    const serial = Buffer.alloc(16);
    serial[0] = 1;
    serial.writeUInt32BE((i * 2_654_435_761) % 2 ** 32, 8);
    return serial;
  });
  const list = one(writeCrl(ca.issuer, [], { serials }));
  assert.equal(list.serials.length, 50_000 * SERIAL_BYTES);
  assert.ok(serials.every((serial) => isListed(list, serial)));
});
