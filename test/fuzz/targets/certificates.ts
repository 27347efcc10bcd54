/** Certificates, signing requests and revocation lists: DER, and the PEM around it. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { makeIdentity, parseIdentity } from "#common/model/identity.ts";
import { TEST_IDENTITY, TestAuthority } from "#common/tls/authority-fixture.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { isListed, isSignedBy, readRevocationLists, SERIAL_BYTES } from "#common/tls/crl.ts";
import { crlPem, writeCrl } from "#common/tls/crl-fixture.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import { publicKeyOfCsr } from "#common/tls/parse-csr.ts";
import { fromPem, readPemCertificates, toPem } from "#common/tls/pem.ts";
import { spiffeIdentityOf, workloadIdentityOf } from "#common/tls/spiffe-san.ts";
import {
  readExtensions,
  readIssuerAndSerial,
  readSubject,
  readSubjectKeyIdentifier,
} from "#common/tls/x509-extensions.ts";
import { type FuzzTarget, readOrRefusal } from "../fuzz-target.ts";

const root = TestAuthority.root();
const intermediate = root.intermediate();
const [leaf] = readPemCertificates(intermediate.workload().certChainPem);
const [odd] = readPemCertificates(
  root.workload({
    subjectAltNames: [
      { type: "uri", value: "spiffe://cluster.local/ns/a%2fb/sa/x" },
      { type: "dns", value: "a.example\0.b" },
    ],
  }).certChainPem,
);
const CERTIFICATES = [leaf, odd, intermediate.issuer.certificate, root.issuer.certificate].flatMap(
  (certificate) => (certificate === undefined ? [] : [certificate]),
);
const CERTIFICATE_DERS = CERTIFICATES.map(({ raw }) => raw);
const REQUEST = createSigningRequest(TEST_IDENTITY).csrPem;
const LISTS = [writeCrl(root.issuer, []), writeCrl(root.issuer, CERTIFICATES)];

/** Tags, lengths, and the object identifiers of the extensions that are read. */
const DER_WORDS = [
  ...[
    "30",
    "02",
    "03",
    "04",
    "06",
    "0101ff",
    "0500",
    "a0",
    "a3",
    "80",
    "81ff",
    "82ffff",
    "84ffffffff",
  ],
  ...["86", "87", "82", "1f", "0603551d11", "0603551d0f", "0603551d13", "0603551d25", "0603551d1b"],
].map((hex) => Buffer.from(hex, "hex"));

export const spiffeId: FuzzTarget = {
  name: "spiffe-id",
  corpus: [
    Buffer.from(TEST_IDENTITY.uri),
    Buffer.from("spiffe://TD/ns/a%2fb/sa/x"),
    Buffer.from("spiffe://td/ns/../sa/x"),
  ],
  words: ["spiffe://", "/ns/", "/sa/", "%2f", "\0", "?", "#", "..", "/", "@", ":80"],
  maxBytes: 3_000,
  check: (input) => {
    const text = input.toString("latin1");
    const identity = parseIdentity(text);
    if (identity === undefined) return "refused";
    const { trustDomain, namespace, serviceAccount } = identity;
    assert.equal(identity.uri, text);
    assert.deepEqual(makeIdentity(trustDomain, namespace, serviceAccount), identity);
    const url = new URL(text);
    assert.equal(url.host, trustDomain, "another reader sees another trust domain");
    assert.equal(url.pathname, `/ns/${namespace}/sa/${serviceAccount}`);
    return "identity";
  },
};

/** Against OpenSSL: where that reads the certificate too, both have to read the same. */
export const certificate: FuzzTarget = {
  name: "certificate",
  corpus: CERTIFICATE_DERS,
  words: DER_WORDS,
  check: (input) => {
    readOrRefusal(() => workloadIdentityOf(input, "clientAuth"));
    for (const read of [readSubject, readIssuerAndSerial, readSubjectKeyIdentifier]) {
      readOrRefusal(() => read(input));
    }
    const extensions = readOrRefusal(() => readExtensions(input));
    const identity = readOrRefusal(() => spiffeIdentityOf(input));
    if ("refusal" in extensions) return extensions.refusal;
    const theirs = parseWithOpenssl(input);
    if (theirs?.ca === true) assert.equal(extensions.value.isCa, true, "a CA that is none to us");
    if ("refusal" in identity) return identity.refusal;
    if (theirs?.subjectAltName !== undefined) {
      const uris = theirs.subjectAltName.split(", ").filter((name) => name.startsWith("URI:"));
      assert.deepEqual(uris, [`URI:${identity.value.uri}`]);
    }
    return theirs === undefined ? "ours only" : "both";
  },
};

function parseWithOpenssl(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

/** A leaf and an intermediate, one after the other, to a root that is ours. */
export const certificateChain: FuzzTarget = {
  name: "certificate-chain",
  corpus: [leaf, odd].map((first) =>
    Buffer.concat([first?.raw ?? Buffer.alloc(0), intermediate.issuer.certificate.raw]),
  ),
  words: DER_WORDS,
  check: (input) => {
    const middle = 4 + (input.length < 4 ? 0 : input.readUInt16BE(2));
    const first = parseWithOpenssl(input.subarray(0, middle));
    const second = parseWithOpenssl(input.subarray(middle));
    if (first === undefined) return "no leaf";
    const others = second === undefined ? [] : [second];
    const now = Date.now();
    const path = readOrRefusal(() => findPath(first, others, [root.issuer.certificate], now));
    if ("refusal" in path) return path.refusal;
    if (!path.value.ok) return path.value.message.replace(/"[^"]*"|\d+/g, "_");
    // Only what was signed leads to the root: not one bit of it may differ.
    const signed = CERTIFICATE_DERS.some((der) => der.equals(first.raw));
    assert.ok(signed, "a certificate that nobody signed leads to the root");
    return "path";
  },
};

export const signingRequest: FuzzTarget = {
  name: "signing-request",
  corpus: [fromPem(REQUEST, ["CERTIFICATE REQUEST"]) ?? Buffer.alloc(0)],
  words: DER_WORDS,
  maxBytes: 6_000,
  check: (input) => {
    const key = readOrRefusal(() => publicKeyOfCsr(toPem("CERTIFICATE REQUEST", input)));
    if ("refusal" in key) return key.refusal;
    assert.equal(key.value.asymmetricKeyDetails?.namedCurve, "prime256v1");
    return "key";
  },
};

export const revocationList: FuzzTarget = {
  name: "revocation-list",
  corpus: LISTS,
  words: DER_WORDS,
  check: (input) => {
    const read = readOrRefusal(() => readRevocationLists(input));
    if ("refusal" in read) return read.refusal;
    for (const list of read.value) {
      assert.equal(list.serials.length % SERIAL_BYTES, 0);
      for (let at = 0; at < list.serials.length; at += SERIAL_BYTES) {
        assert.ok(isListed(list, list.serials.subarray(at, at + SERIAL_BYTES)));
      }
      const signed = isSignedBy(list, root.issuer.certificate.publicKey);
      const known = LISTS.some((der) => der.includes(list.signed));
      assert.ok(known || !signed, "a list that nobody signed");
    }
    return `${read.value.length} lists`;
  },
};

export const pem: FuzzTarget = {
  name: "pem",
  corpus: [
    Buffer.from(CERTIFICATES.map((one) => one.toString()).join("text between\r\n")),
    Buffer.from(REQUEST),
    Buffer.from(crlPem(...LISTS)),
  ],
  words: ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----", "\r\n", "=", "\0"],
  maxBytes: 20_000,
  check: (input) => {
    const text = input.toString("latin1");
    fromPem(text, ["CERTIFICATE REQUEST"]);
    const key = readOrRefusal(() => publicKeyOfCsr(text));
    const lists = readOrRefusal(() => readRevocationLists(input));
    const certificates = readOrRefusal(() => readPemCertificates(text));
    if (!("refusal" in certificates)) {
      const again = readPemCertificates(certificates.value.map((one) => one.toString()).join(""));
      const serials = (list: readonly X509Certificate[]) => list.map(({ raw }) => raw);
      assert.deepEqual(serials(again), serials(certificates.value));
    }
    return [key, lists, certificates].map((one) => ("refusal" in one ? one.refusal : "")).join();
  },
};
