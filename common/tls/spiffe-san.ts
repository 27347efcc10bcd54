/**
 * The SPIFFE identity of a certificate, from its DER: exactly one URI name, of Istio's form, and
 * nothing beside it that another reader might take for one. Printed forms of the names (Node's
 * `subjectAltName`) are never parsed: they have been ambiguous before (CVE-2021-44532,
 * CVE-2025-66220).
 */
import { type Identity, parseIdentity } from "#common/model/identity.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { MAX_SPIFFE_ID_BYTES } from "./limits.ts";
import {
  type CertificateExtensions,
  type KeyPurpose,
  readExtensions,
  SAN_TAG,
  type SubjectAltName,
} from "./x509-extensions.ts";

/**
 * The identity in a DER certificate. Throws MeshError: SPIFFE_ID_MISSING (no URI name),
 * SPIFFE_ID_AMBIGUOUS (several URI names, an otherName, a DNS name that looks like SPIFFE),
 * SPIFFE_ID_INVALID (not `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`: NUL,
 * escapes, upper-case trust domain, …), CERTIFICATE_TOO_LARGE, DER_MALFORMED.
 */
export function spiffeIdentityOf(certificateDer: Uint8Array): Identity {
  return identityFrom(readExtensions(certificateDer).subjectAltNames);
}

/**
 * Everything a peer's leaf has to be: one SPIFFE identity, not a CA, and its key meant for
 * `purpose`. Throws as spiffeIdentityOf does, and LEAF_IS_CA or KEY_PURPOSE_MISSING.
 */
export function workloadIdentityOf(certificateDer: Uint8Array, purpose: KeyPurpose): Identity {
  const extensions = readExtensions(certificateDer);
  checkNotCa(extensions);
  checkKeyPurpose(extensions, purpose);
  return identityFrom(extensions.subjectAltNames);
}

/** SPIFFE X509-SVID 4.1 and 4.3: a leaf is no CA and may not sign certificates. */
export function checkNotCa(extensions: CertificateExtensions): void {
  if (extensions.isCa) {
    throw new MeshError("LEAF_IS_CA", "the certificate is a CA's and names no workload");
  }
}

/** The purpose has to be written in the certificate: absence of the extension is not enough. */
export function checkKeyPurpose(extensions: CertificateExtensions, purpose: KeyPurpose): void {
  if (!extensions.keyPurposes.has(purpose)) {
    throw new MeshError(
      "KEY_PURPOSE_MISSING",
      `the certificate's extended key usage does not contain ${purpose}`,
    );
  }
}

function identityFrom(names: readonly SubjectAltName[]): Identity {
  for (const name of names) refuseAmbiguous(name);
  const uris = names.filter((name) => name.tag === SAN_TAG.uri);
  const [uri] = uris;
  if (uri === undefined) {
    throw new MeshError(
      "SPIFFE_ID_MISSING",
      "the certificate has no URI name, so no SPIFFE identity",
    );
  }
  if (uris.length > 1) {
    throw new MeshError(
      "SPIFFE_ID_AMBIGUOUS",
      `the certificate has ${uris.length} URI names; a SPIFFE certificate has exactly one`,
    );
  }
  return parse(uri.value);
}

/**
 * DNS names and IP addresses may stand beside the URI (X509-SVID 2); nothing else, and no
 * look-alikes.
 */
function refuseAmbiguous(name: SubjectAltName): void {
  if (name.tag === SAN_TAG.uri || name.tag === SAN_TAG.ip) return;
  if (name.tag !== SAN_TAG.dns) {
    throw new MeshError(
      "SPIFFE_ID_AMBIGUOUS",
      `the certificate has a name of type 0x${name.tag.toString(16)} beside its SPIFFE identity`,
    );
  }
  if (!/^[A-Za-z0-9.*_-]+$/.test(latin1(name.value))) {
    throw new MeshError(
      "SPIFFE_ID_AMBIGUOUS",
      "the certificate has a DNS name that is no host name",
    );
  }
}

function parse(value: Uint8Array): Identity {
  const identity = value.length <= MAX_SPIFFE_ID_BYTES ? parseIdentity(latin1(value)) : undefined;
  if (identity === undefined) {
    const shown = JSON.stringify(latin1(value.subarray(0, 200)));
    throw new MeshError(
      "SPIFFE_ID_INVALID",
      `the certificate's URI name ${shown} is not spiffe://<domain>/ns/<namespace>/sa/<account>`,
    );
  }
  return identity;
}

/** One byte, one character: no decoder that could drop or merge bytes. */
function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
}
