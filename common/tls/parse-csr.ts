/**
 * What the CA takes from a signing request: the public key, and the proof that the caller holds its
 * private half. Subject, names and attributes are skipped unread, because the CA decides on those.
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { MeshError } from "#common/runtime/errors.ts";
import { DerReader, oidHex, TAG } from "./der-reader.ts";
import { MAX_CSR_BYTES } from "./limits.ts";
import { fromPem } from "./pem.ts";

/**
 * SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480): ecPublicKey, prime256v1, and 65
 * bytes that begin with 4 (uncompressed). Comparing bytes leaves no room for explicit curve
 * parameters.
 */
const P256_PREFIX = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
const P256_SPKI_BYTES = 91;

/** ecdsa-with-SHA256, as DER content of the OID. */
const ECDSA_WITH_SHA256 = "2a8648ce3d040302";

/**
 * The public key of a PEM signing request. Throws MeshError: CSR_TOO_LARGE (over MAX_CSR_BYTES),
 * CSR_MALFORMED, CSR_KEY_UNSUPPORTED (not ECDSA P-256 with SHA-256), CSR_SIGNATURE_INVALID.
 */
export function publicKeyOfCsr(csrPem: string): KeyObject {
  if (csrPem.length > MAX_CSR_BYTES) {
    throw new MeshError("CSR_TOO_LARGE", `the CSR is larger than ${MAX_CSR_BYTES} bytes`);
  }
  const der = fromPem(csrPem, ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]);
  if (der === undefined) throw new MeshError("CSR_MALFORMED", "the CSR is not one PEM block");
  const parts = split(der);
  const key = p256Key(parts.spki);
  if (parts.algorithm !== ECDSA_WITH_SHA256) {
    throw new MeshError("CSR_KEY_UNSUPPORTED", "the CSR is not signed with ECDSA and SHA-256");
  }
  if (!isSignedBy(key, parts)) {
    throw new MeshError("CSR_SIGNATURE_INVALID", "the CSR is not signed by the key it contains");
  }
  return key;
}

interface CsrParts {
  /** CertificationRequestInfo as it was signed. */
  readonly info: Uint8Array;
  readonly spki: Uint8Array;
  readonly algorithm: string;
  readonly signature: Uint8Array;
}

function split(der: Uint8Array): CsrParts {
  try {
    const outer = new DerReader(der);
    const request = outer.enter(TAG.sequence);
    outer.end();
    const info = request.read(TAG.sequence);
    const algorithm = request.enter(TAG.sequence);
    const signature = request.read(TAG.bitString).value;
    request.end();
    const fields = new DerReader(info.value);
    fields.read(TAG.integer);
    fields.read(TAG.sequence);
    const spki = fields.read(TAG.sequence).encoded;
    const algorithmOid = oidHex(algorithm.read(TAG.oid));
    return { info: info.encoded, spki, algorithm: algorithmOid, signature };
  } catch (cause) {
    throw new MeshError("CSR_MALFORMED", "the CSR is not PKCS#10", { cause });
  }
}

function p256Key(spki: Uint8Array): KeyObject {
  const known = spki.length === P256_SPKI_BYTES && P256_PREFIX.every((byte, i) => spki[i] === byte);
  if (!known) {
    throw new MeshError("CSR_KEY_UNSUPPORTED", "the CSR's key is not an ECDSA P-256 key");
  }
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch (cause) {
    throw new MeshError("CSR_KEY_UNSUPPORTED", "the CSR's key is no point of P-256", { cause });
  }
}

/** The bit string's first byte counts unused bits, which a signature has none of. */
function isSignedBy(key: KeyObject, { info, signature }: CsrParts): boolean {
  if (signature[0] !== 0) return false;
  return verify("sha256", info, { key, dsaEncoding: "der" }, signature.subarray(1));
}
