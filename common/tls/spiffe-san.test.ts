import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { MeshError } from "#common/runtime/errors.ts";
import { p256, TEST_IDENTITY, TestAuthority, workloadTemplate } from "./authority-fixture.ts";
import * as der from "./der-writer.ts";
import { MAX_CERTIFICATE_BYTES } from "./limits.ts";
import { spiffeIdentityOf, workloadIdentityOf } from "./spiffe-san.ts";
import { writeCertificate } from "./write-certificate.ts";
import { extension, type GeneralName, OID } from "./x509-structures.ts";

const ca = TestAuthority.root();
const { publicKey } = p256();
const GOOD = "spiffe://cluster.local/ns/default/sa/test";

function withNames(...subjectAltNames: GeneralName[]): Uint8Array {
  return writeCertificate({ ...workloadTemplate(publicKey), subjectAltNames }, ca.issuer).raw;
}

function uri(value: string): GeneralName {
  return { type: "uri", value };
}

/** A certificate with these extensions and nothing else; its signature is of no interest here. */
function withExtensions(...extensions: der.DerNode[]): Uint8Array {
  const algorithm = der.sequence(der.oid(OID.ecdsaWithSha256));
  const validity = der.sequence(der.time(new Date(0)), der.time(new Date(1e12)));
  const tbs = der.sequence(
    der.contextConstructed(0, der.integer(2)),
    der.integer(1),
    algorithm,
    der.sequence(),
    validity,
    der.sequence(),
    der.encoded(publicKey.export({ format: "der", type: "spki" })),
    der.contextConstructed(3, der.sequence(...extensions)),
  );
  return der.toDer(der.sequence(tbs, algorithm, der.bitString(Uint8Array.of(0x30, 0))));
}

function san(...names: der.DerNode[]): der.DerNode {
  return extension(OID.subjectAltName, true, der.sequence(...names));
}

function uriNode(value: string): der.DerNode {
  return der.contextPrimitive(6, Buffer.from(value, "latin1"));
}

function otherName(text: string): der.DerNode {
  const value = der.contextConstructed(0, der.utf8String(text));
  return der.contextConstructed(0, der.oid("1.2.3.4"), value);
}

function refusesWith(code: string, certificate: Uint8Array, shown: string): void {
  assert.throws(
    () => spiffeIdentityOf(certificate),
    (error: unknown) => error instanceof MeshError && error.code === code,
    `${shown} should be refused with ${code}`,
  );
}

test("the only URI name is the identity", () => {
  assert.deepEqual(spiffeIdentityOf(withNames(uri(GOOD))), TEST_IDENTITY);
});

test("an ordinary DNS name and an IP address may stand beside the URI name", () => {
  const names = [{ type: "dns", value: "web.default.svc" } as const, uri(GOOD)];
  assert.equal(spiffeIdentityOf(withNames(...names)).uri, GOOD);
});

test("certificates without a URI name have no identity", () => {
  refusesWith("SPIFFE_ID_MISSING", withNames(), "no names");
  refusesWith("SPIFFE_ID_MISSING", withNames({ type: "dns", value: "a.example" }), "a DNS name");
});

test("two URI names are refused, even if they are equal", () => {
  refusesWith("SPIFFE_ID_AMBIGUOUS", withNames(uri(GOOD), uri(GOOD)), "the same twice");
  const other = uri("https://example.com/");
  refusesWith("SPIFFE_ID_AMBIGUOUS", withNames(uri(GOOD), other), "SPIFFE and https");
});

test("URI names that are not exactly Istio's form are refused", () => {
  const wrong = [
    "https://cluster.local/ns/default/sa/test",
    "SPIFFE://cluster.local/ns/default/sa/test",
    "spiffe://Cluster.local/ns/default/sa/test",
    "spiffe:///ns/default/sa/test",
    "spiffe://cluster.local/ns/default",
    "spiffe://cluster.local/ns/default/sa/",
    "spiffe://cluster.local/ns/default/sa/test/",
    "spiffe://cluster.local/ns/default/sa/test/more",
    "spiffe://cluster.local/ns//sa/test",
    "spiffe://cluster.local/ns/../sa/test",
    "spiffe://cluster.local/ns/a%2fb/sa/test",
    "spiffe://cluster.local/ns/default/sa/test\0",
    "spiffe://cluster.local/ns/default/sa/te\0st",
    "spiffe://cluster.local/ns/default/sa/test?x=1",
    "spiffe://cluster.local/ns/default/sa/test#x",
    "spiffe://cluster.local:443/ns/default/sa/test",
    "spiffe://user@cluster.local/ns/default/sa/test",
    " spiffe://cluster.local/ns/default/sa/test",
    "spiffe://cluster.local/ns/default/sa/t\u00e9st",
    `spiffe://cluster.local/ns/${"a".repeat(3000)}/sa/test`,
    "",
  ];
  for (const value of wrong) {
    refusesWith("SPIFFE_ID_INVALID", withNames(uri(value)), JSON.stringify(value));
  }
});

test("names that another reader could take for the identity are refused", () => {
  const ambiguous: der.DerNode[][] = [
    [uriNode(GOOD), der.contextPrimitive(2, Buffer.from(GOOD))],
    [uriNode(GOOD), der.contextPrimitive(2, Buffer.from("a, URI:spiffe://x/ns/a/sa/b"))],
    [uriNode(GOOD), der.contextPrimitive(2, Buffer.from("a.example\0.evil"))],
    [uriNode(GOOD), der.contextPrimitive(2, Buffer.of())],
    [uriNode(GOOD), otherName("a\0b")],
    [uriNode(GOOD), der.contextPrimitive(1, Buffer.from("a@b"))],
    [otherName(GOOD)],
  ];
  ambiguous.forEach((names, i) => {
    refusesWith("SPIFFE_ID_AMBIGUOUS", withExtensions(san(...names)), `case ${i}`);
  });
});

test("a second extension of subject alternative names is refused", () => {
  refusesWith("DER_MALFORMED", withExtensions(san(uriNode(GOOD)), san(uriNode(GOOD))), "two SANs");
});

test("a certificate or a name list beyond the limits is refused", () => {
  const many = Array.from({ length: 33 }, (_, i) => der.contextPrimitive(2, Buffer.from(`a${i}`)));
  refusesWith("DER_MALFORMED", withExtensions(san(uriNode(GOOD), ...many)), "33 DNS names");
  const huge = withNames(uri(`${GOOD}${"a".repeat(MAX_CERTIFICATE_BYTES)}`));
  refusesWith("CERTIFICATE_TOO_LARGE", huge, "16 KiB in one name");
});

test("a leaf that is a CA, or may sign certificates, names no workload", () => {
  const template = workloadTemplate(publicKey);
  const basicConstraints = { ca: true };
  const certificate = writeCertificate({ ...template, basicConstraints }, ca.issuer).raw;
  assert.throws(() => workloadIdentityOf(certificate, "clientAuth"), { code: "LEAF_IS_CA" });
  const certSign = extension(OID.keyUsage, true, der.bitString(Uint8Array.of(0x04), 2));
  assert.throws(
    () => workloadIdentityOf(withExtensions(certSign, san(uriNode(GOOD))), "clientAuth"),
    {
      code: "LEAF_IS_CA",
    },
  );
});

test("the key purpose has to be written in the certificate", () => {
  const template = workloadTemplate(publicKey);
  const purposes = (keyPurposes: readonly ("serverAuth" | "clientAuth")[]) =>
    writeCertificate({ ...template, keyPurposes }, ca.issuer).raw;
  assert.equal(workloadIdentityOf(purposes(["serverAuth"]), "serverAuth").uri, GOOD);
  for (const wrong of [[], ["clientAuth"]] as const) {
    assert.throws(() => workloadIdentityOf(purposes(wrong), "serverAuth"), {
      code: "KEY_PURPOSE_MISSING",
    });
  }
});

test("encodings that are BER but not DER are refused", () => {
  const good = Buffer.from(withNames(uri(GOOD)));
  const indefinite = Buffer.concat([Buffer.of(0x30, 0x80), good.subarray(4), Buffer.of(0, 0)]);
  refusesWith("DER_MALFORMED", indefinite, "an indefinite length");
  const length = good.readUInt16BE(2);
  const padded = Buffer.concat([
    Buffer.of(0x30, 0x83, 0, length >> 8, length & 0xff),
    good.subarray(4),
  ]);
  refusesWith("DER_MALFORMED", padded, "a padded length");
  refusesWith("DER_MALFORMED", Buffer.concat([good, Buffer.of(0)]), "a trailing byte");
  for (let cut = 0; cut < good.length; cut += 7) {
    refusesWith("DER_MALFORMED", good.subarray(0, cut), `cut at ${cut}`);
  }
});

test("damaged certificates are refused or keep their identity, and never crash the reader", () => {
  const good = withNames(uri(GOOD));
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1 });
  fc.assert(
    fc.property(damage, (changes) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        const { uri: found } = spiffeIdentityOf(bytes);
        assert.ok(bytes.includes(Buffer.from(found)), "the identity stands in the bytes");
      } catch (error) {
        assert.ok(error instanceof MeshError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("what is read agrees with OpenSSL on a good certificate", () => {
  const certificate = new X509Certificate(Buffer.from(withNames(uri(GOOD))));
  assert.equal(certificate.subjectAltName, `URI:${spiffeIdentityOf(certificate.raw).uri}`);
});
