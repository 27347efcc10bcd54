/**
 * Certificate revocation lists (RFC 5280 section 5), read from DER. Reading believes nothing: whose
 * list it is, is for `isSignedBy` to say, with the key of a CA that was verified by other means.
 */
import { type KeyObject, verify } from "node:crypto";
import { MeshError } from "#common/runtime/errors.ts";
import { DerReader, malformed, oidHex, readBoolean, TAG } from "./der-reader.ts";
import { MAX_CRL_BYTES, MAX_CRLS } from "./limits.ts";

/**
 * A revocation list as plain data over shared memory: posting it to a thread copies next to
 * nothing.
 */
export interface RevocationList {
  /** DER of the issuer's name, hexadecimal. */
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  /**
   * When a newer list was promised for; a late one is still in force. Milliseconds since the epoch.
   */
  readonly nextUpdate: number | undefined;
  /** Revoked serial numbers, SERIAL_BYTES each, ascending. */
  readonly serials: Uint8Array;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** Of the signature: a digest that node:crypto knows. */
  readonly digest: string;
}

/** RFC 5280 4.1.2.2: a serial number has at most 20 octets. Shorter ones are filled up in front. */
export const SERIAL_BYTES = 20;

const TIME_TAGS: ReadonlySet<number | undefined> = new Set([0x17, 0x18]);
const EXTENSIONS = 0xa0;
// Object identifiers, hexadecimal: RFC 3279 2.2, RFC 5758 3.2, RFC 8017 A.2.4.
const DIGESTS = new Map([
  ["2a8648ce3d040302", "sha256"],
  ["2a8648ce3d040303", "sha384"],
  ["2a8648ce3d040304", "sha512"],
  ["2a864886f70d01010b", "sha256"],
  ["2a864886f70d01010c", "sha384"],
  ["2a864886f70d01010d", "sha512"],
]);
/** RFC 5280 5.2.4: the list tells only what changed since another. */
const DELTA_INDICATOR = "551d1b";
/** RFC 5280 5.2.5 and 5.3.3: lists that speak of the certificates of other issuers. */
const DISTRIBUTION_POINT = "551d1c";
const CERTIFICATE_ISSUER = "551d1d";
const INDIRECT = 0x84;

/**
 * The lists of a PEM text or of one DER list. An empty text is no list, and revokes nothing (as in
 * Istio). Throws MeshError CRL_TOO_LARGE, CRL_UNSUPPORTED (delta and indirect lists, unknown
 * signatures) or DER_MALFORMED: then nothing of the text may be used.
 */
export function readRevocationLists(file: Uint8Array): readonly RevocationList[] {
  if (file.length > MAX_CRL_BYTES) {
    const message = `the revocation lists are larger than ${MAX_CRL_BYTES} bytes`;
    throw new MeshError("CRL_TOO_LARGE", message);
  }
  const encoded =
    file[0] === TAG.sequence ? [file] : derOfPem(Buffer.from(file).toString("latin1"));
  if (encoded.length > MAX_CRLS) {
    throw new MeshError("CRL_TOO_LARGE", `more than ${MAX_CRLS} revocation lists in one file`);
  }
  return encoded.map(readList);
}

/** Whether the certificate with this serial number (an INTEGER's bytes) is on the list. */
export function isListed({ serials }: RevocationList, serial: Uint8Array): boolean {
  const wanted = normalSerial(serial);
  if (wanted === undefined) return false;
  let low = 0;
  let high = serials.length / SERIAL_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * SERIAL_BYTES;
    const order = Buffer.compare(serials.subarray(at, at + SERIAL_BYTES), wanted);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** Whether this key signed the list. Reads all of the list: about a millisecond per MiB. */
export function isSignedBy(list: RevocationList, publicKey: KeyObject): boolean {
  return verify(list.digest, list.signed, { key: publicKey, dsaEncoding: "der" }, list.signature);
}

function derOfPem(text: string): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g)];
  if (blocks.length === 0 && text.trim() !== "") throw malformed("neither PEM nor DER of a CRL");
  return blocks.map(([, body = ""]) => Buffer.from(body, "base64"));
}

function readList(der: Uint8Array): RevocationList {
  const outer = new DerReader(der);
  const list = outer.enter(TAG.sequence);
  outer.end();
  const signed = list.read(TAG.sequence);
  const digest = digestOf(list.enter(TAG.sequence));
  const [unusedBits, ...signature] = list.read(TAG.bitString).value;
  list.end();
  if (unusedBits !== 0) throw malformed("a signature that is not whole bytes");
  const tbs = new DerReader(signed.value);
  tbs.skipOptional(TAG.integer); // version
  if (digestOf(tbs.enter(TAG.sequence)) !== digest) throw malformed("two signature algorithms");
  const issuer = Buffer.from(tbs.read(TAG.sequence).encoded).toString("hex");
  const thisUpdate = readTime(tbs);
  const nextUpdate = TIME_TAGS.has(tbs.peekTag()) ? readTime(tbs) : undefined;
  const serials = tbs.peekTag() === TAG.sequence ? readEntries(tbs.enter(TAG.sequence)) : [];
  if (tbs.peekTag() === EXTENSIONS) readListExtensions(tbs.enter(EXTENSIONS));
  tbs.end();
  return {
    issuer,
    thisUpdate,
    nextUpdate,
    serials: shared(serials.sort(Buffer.compare)),
    signed: shared([signed.encoded]),
    signature: Uint8Array.from(signature),
    digest,
  };
}

function readEntries(entries: DerReader): Uint8Array[] {
  const serials: Uint8Array[] = [];
  while (!entries.done) {
    const entry = entries.enter(TAG.sequence);
    const serial = normalSerial(entry.read(TAG.integer).value);
    if (serial === undefined) throw malformed("a serial number over 20 bytes");
    readTime(entry);
    if (!entry.done) readEntryExtensions(entry.enter(TAG.sequence));
    entry.end();
    serials.push(serial);
  }
  return serials;
}

function readEntryExtensions(list: DerReader): void {
  while (!list.done) {
    const { oid, critical } = readExtension(list);
    if (oid === CERTIFICATE_ISSUER) throw unsupported("it is an indirect one");
    if (critical) throw unsupported(`an entry has a critical extension (${oid}) unknown here`);
  }
}

function readListExtensions(wrapper: DerReader): void {
  const list = wrapper.enter(TAG.sequence);
  wrapper.end();
  while (!list.done) {
    const { oid, critical, value } = readExtension(list);
    if (oid === DELTA_INDICATOR) throw unsupported("it is a delta to another list");
    if (oid === DISTRIBUTION_POINT) checkDistributionPoint(value);
    else if (critical) throw unsupported(`it has a critical extension (${oid}) unknown here`);
  }
}

/** A list for some certificates only is welcome: what it names is revoked. */
function checkDistributionPoint(value: Uint8Array): void {
  const point = new DerReader(value).enter(TAG.sequence);
  while (!point.done) {
    const field = point.read();
    if (field.tag === INDIRECT && field.value[0] !== 0) throw unsupported("it is an indirect one");
  }
}

function readExtension(list: DerReader) {
  const extension = list.enter(TAG.sequence);
  const oid = oidHex(extension.read(TAG.oid));
  const critical = extension.peekTag() === TAG.boolean && readBoolean(extension.read(TAG.boolean));
  const { value } = extension.read(TAG.octetString);
  extension.end();
  return { oid, critical, value };
}

function digestOf(algorithm: DerReader): string {
  const oid = oidHex(algorithm.read(TAG.oid));
  const digest = DIGESTS.get(oid);
  if (digest === undefined) throw unsupported(`it is signed by an algorithm (${oid}) unknown here`);
  return digest;
}

/** UTCTime or GeneralizedTime, always to the second and in UTC (RFC 5280 5.1.2.4). */
function readTime(reader: DerReader): number {
  const { tag, value } = reader.read();
  const text = Buffer.from(value).toString("latin1");
  const [, year = "", ...rest] =
    (tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : GENERALIZED_TIME).exec(text) ?? [];
  const [month = "", day = "", hour = "", minute = "", second = ""] = rest;
  const century = tag === 0x18 ? "" : Number(year) < 50 ? "20" : "19";
  const time = Date.parse(`${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time) || !TIME_TAGS.has(tag)) throw malformed("a time that is none");
  return time;
}

const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** Without leading zeros, then filled up with them: however an issuer wrote it. */
function normalSerial(serial: Uint8Array): Buffer | undefined {
  let start = 0;
  while (start < serial.length && serial[start] === 0) start++;
  const digits = serial.subarray(start);
  if (digits.length > SERIAL_BYTES) return undefined;
  const normal = Buffer.alloc(SERIAL_BYTES);
  normal.set(digits, SERIAL_BYTES - digits.length);
  return normal;
}

function shared(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(new SharedArrayBuffer(length));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function unsupported(why: string): MeshError {
  return new MeshError("CRL_UNSUPPORTED", `the revocation list cannot be used: ${why}`, {
    hint: "give a full list, signed by the CA whose certificates it revokes",
  });
}
