/**
 * The few extensions of an X.509 certificate that decide who a peer is and what its key may do,
 * read from DER. Signature, dates and chain are OpenSSL's work; this file adds nothing to trust.
 */
import { MeshError } from "#common/runtime/errors.ts";
import { DerReader, malformed, oidHex, readBoolean, TAG } from "./der-reader.ts";
import {
  MAX_CERTIFICATE_BYTES,
  MAX_CERTIFICATE_EXTENSIONS,
  MAX_KEY_PURPOSES,
  MAX_SUBJECT_ALT_NAMES,
} from "./limits.ts";

/** RFC 5280 4.2.1.12 purposes that a workload certificate uses. */
export type KeyPurpose = "serverAuth" | "clientAuth";

/** RFC 5280 GeneralName tags (4.2.1.6). */
export const SAN_TAG = { otherName: 0xa0, email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const;

export interface SubjectAltName {
  /** One of SAN_TAG, or another GeneralName tag. */
  readonly tag: number;
  readonly value: Uint8Array;
}

export interface CertificateExtensions {
  readonly subjectAltNames: readonly SubjectAltName[];
  /**
   * Only serverAuth and clientAuth are told apart; anyExtendedKeyUsage does not count as either.
   */
  readonly keyPurposes: ReadonlySet<KeyPurpose>;
  /** basicConstraints cA, or the key usage keyCertSign. */
  readonly isCa: boolean;
  /** How many intermediates may follow this CA; undefined for any number. */
  readonly pathLength: number | undefined;
}

// Object identifiers, hexadecimal: RFC 5280 4.2.1.{2,3,6,9,12}.
const SUBJECT_KEY_IDENTIFIER = "551d0e";
const KEY_USAGE = "551d0f";
const SUBJECT_ALT_NAME = "551d11";
const BASIC_CONSTRAINTS = "551d13";
const EXTENDED_KEY_USAGE = "551d25";
const PURPOSES = new Map<string, KeyPurpose>([
  ["2b06010505070301", "serverAuth"],
  ["2b06010505070302", "clientAuth"],
]);
const KEY_CERT_SIGN = 0x04; // bit 5 of the first byte, counted from the top

/**
 * Reads the extensions of a DER certificate. Throws MeshError: CERTIFICATE_TOO_LARGE above
 * MAX_CERTIFICATE_BYTES, DER_MALFORMED for anything that is not strict DER or repeats an extension.
 */
export function readExtensions(certificateDer: Uint8Array): CertificateExtensions {
  if (certificateDer.length > MAX_CERTIFICATE_BYTES) {
    throw new MeshError(
      "CERTIFICATE_TOO_LARGE",
      `certificate of ${certificateDer.length} bytes is over the limit of ${MAX_CERTIFICATE_BYTES}`,
    );
  }
  const found = extensionValues(openCertificate(certificateDer).rest);
  const keyUsage = found.get(KEY_USAGE);
  const constraints = readBasicConstraints(found.get(BASIC_CONSTRAINTS));
  return {
    subjectAltNames: readSubjectAltNames(found.get(SUBJECT_ALT_NAME)),
    keyPurposes: readKeyPurposes(found.get(EXTENDED_KEY_USAGE)),
    isCa: constraints.ca || mayCertSign(keyUsage),
    pathLength: constraints.pathLength,
  };
}

/** The subject of a certificate as it stands in it: what an issuer copies into what it signs. */
export function readSubject(certificateDer: Uint8Array): Uint8Array {
  return openCertificate(certificateDer).subject;
}

/**
 * Serial number (the INTEGER's bytes) and issuer (its DER): by these two a CRL names certificates.
 */
export function readIssuerAndSerial(certificateDer: Uint8Array): {
  readonly issuer: Uint8Array;
  readonly serial: Uint8Array;
} {
  const { issuer, serial } = openCertificate(certificateDer);
  return { issuer, serial };
}

/** The subject key identifier, if the certificate has one. */
export function readSubjectKeyIdentifier(certificateDer: Uint8Array): Uint8Array | undefined {
  const value = extensionValues(openCertificate(certificateDer).rest).get(SUBJECT_KEY_IDENTIFIER);
  return value && new DerReader(value).read(TAG.octetString).value;
}

interface OpenedCertificate {
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Stands behind the public key. */
  readonly rest: DerReader;
}

/** The fields up to the public key, in the order of RFC 5280 4.1. */
function openCertificate(certificateDer: Uint8Array): OpenedCertificate {
  const outer = new DerReader(certificateDer);
  const certificate = outer.enter(TAG.sequence);
  outer.end();
  const tbs = certificate.enter(TAG.sequence);
  certificate.read(TAG.sequence); // signature algorithm
  certificate.read(TAG.bitString); // signature
  certificate.end();
  tbs.skipOptional(0xa0); // version
  const serial = tbs.read(TAG.integer).value;
  tbs.read(TAG.sequence); // signature algorithm
  const issuer = tbs.read(TAG.sequence).encoded;
  tbs.read(TAG.sequence); // validity
  const subject = tbs.read(TAG.sequence).encoded;
  tbs.read(TAG.sequence); // public key
  return { serial, issuer, subject, rest: tbs };
}

/** The extension values (inside their OCTET STRING) by OID. */
function extensionValues(rest: DerReader): Map<string, Uint8Array> {
  rest.skipOptional(0x81); // issuerUniqueID
  rest.skipOptional(0x82); // subjectUniqueID
  const found = new Map<string, Uint8Array>();
  if (rest.done) return found;
  const wrapper = rest.enter(TAG.context3);
  rest.end();
  const list = wrapper.enter(TAG.sequence);
  wrapper.end();
  while (!list.done) addExtension(found, list.enter(TAG.sequence));
  return found;
}

function addExtension(found: Map<string, Uint8Array>, extension: DerReader): void {
  const oid = oidHex(extension.read(TAG.oid));
  if (extension.peekTag() === TAG.boolean) readBoolean(extension.read(TAG.boolean));
  const value = extension.read(TAG.octetString).value;
  extension.end();
  if (found.has(oid)) throw malformed("an extension twice");
  found.set(oid, value);
  if (found.size > MAX_CERTIFICATE_EXTENSIONS) throw malformed("too many extensions");
}

function readSubjectAltNames(value: Uint8Array | undefined): SubjectAltName[] {
  const names: SubjectAltName[] = [];
  if (value === undefined) return names;
  const list = sequenceIn(value);
  while (!list.done) {
    const { tag, value: name } = list.read();
    names.push({ tag, value: name });
    if (names.length > MAX_SUBJECT_ALT_NAMES) throw malformed("too many subject alternative names");
  }
  return names;
}

function readKeyPurposes(value: Uint8Array | undefined): Set<KeyPurpose> {
  const purposes = new Set<KeyPurpose>();
  if (value === undefined) return purposes;
  const list = sequenceIn(value);
  for (let count = 0; !list.done; count++) {
    const purpose = PURPOSES.get(oidHex(list.read(TAG.oid)));
    if (purpose !== undefined) purposes.add(purpose);
    if (count >= MAX_KEY_PURPOSES) throw malformed("too many extended key usages");
  }
  return purposes;
}

function readBasicConstraints(value: Uint8Array | undefined): {
  ca: boolean;
  pathLength: number | undefined;
} {
  if (value === undefined) return { ca: false, pathLength: undefined };
  const fields = sequenceIn(value);
  const ca = fields.peekTag() === TAG.boolean && readBoolean(fields.read(TAG.boolean));
  if (fields.done) return { ca, pathLength: undefined };
  const [pathLength = 0, ...more] = fields.read(TAG.integer).value;
  fields.end();
  if (more.length > 0 || pathLength > 0x7f) throw malformed("a path length over 127");
  return { ca, pathLength };
}

function mayCertSign(value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  const reader = new DerReader(value);
  const bits = reader.read(TAG.bitString).value;
  reader.end();
  return ((bits[1] ?? 0) & KEY_CERT_SIGN) !== 0;
}

function sequenceIn(value: Uint8Array): DerReader {
  const reader = new DerReader(value);
  const sequence = reader.enter(TAG.sequence);
  reader.end();
  return sequence;
}
