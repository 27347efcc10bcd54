/**
 * What a CA signs with, out of PEM texts, wherever these are kept. Everything is checked before
 * anything is signed with it, and errors name the text that is wrong.
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { readExtensions } from "#common/tls/x509-extensions.ts";
import { CA_FILE_BYTES } from "../limits.ts";
import type { CertificateAuthorityMaterial } from "./certificate-authority.ts";

/** One PEM text, and what people know it by: the path of a file, a key of a Secret. */
export interface NamedPem {
  readonly name: string;
  readonly text: string;
  /** The command that shows it. */
  readonly look: string;
}

/** Where the CA is kept: a folder, or Secrets. */
export interface CaStore {
  /** What people know it by. */
  readonly place: string;
  /** Looked at so often, in milliseconds. */
  readonly checkIntervalMs: number;
  /** Another text whenever what is kept may be another. */
  stamp(): Promise<string>;
  /**
   * What is kept, made on the first call of all where nothing is. Rejects with MeshError
   * CA_FILES_INCOMPLETE (some parts of a set, but not all) or CA_FILE_INVALID (unreadable, no match
   * of key and certificate, no path to the root, not a CA, expired).
   */
  load(): Promise<CertificateAuthorityMaterial>;
  /** As `load`, but nothing kept is CA_FILES_INCOMPLETE. */
  reload(): Promise<CertificateAuthorityMaterial>;
}

/** A root that signs itself. `now`: milliseconds since the epoch. */
export function ownRootMaterial(
  pem: { readonly root: NamedPem; readonly key: NamedPem },
  now: number,
): CertificateAuthorityMaterial {
  const roots = readCertificates(pem.root);
  const privateKey = readKey(pem.key);
  // While a root is being replaced the text holds both; the key says which of them signs.
  const certificate = roots.find((root) => root.checkPrivateKey(privateKey));
  if (certificate === undefined) throw invalidPem(pem.key, `it is not the key of ${pem.root.name}`);
  for (const root of roots) checkCa(pem.root, root);
  checkPath(pem.root, certificate, [], [certificate], now);
  return { issuer: { certificate, privateKey }, intermediates: [], roots };
}

/** A CA that somebody else's root has signed. `now`: milliseconds since the epoch. */
export function pluggedInMaterial(
  pem: {
    readonly cert: NamedPem;
    readonly key: NamedPem;
    readonly root: NamedPem;
    /** May be empty. */
    readonly chain: NamedPem;
  },
  now: number,
): CertificateAuthorityMaterial {
  const [certificate, ...more] = readCertificates(pem.cert);
  const privateKey = readKey(pem.key);
  const roots = readCertificates(pem.root);
  const chain = pem.chain.text.trim() === "" ? [] : readCertificates(pem.chain);
  if (certificate === undefined) throw invalidPem(pem.cert, "it holds no certificate");
  checkCa(pem.cert, certificate);
  for (const root of roots) checkCa(pem.root, root);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalidPem(pem.key, `it is not the key of ${pem.cert.name}`);
  }
  const intermediates = checkPath(pem.cert, certificate, [...more, ...chain], roots, now);
  return { issuer: { certificate, privateKey }, intermediates, roots };
}

/** An error that names its text already is passed on as it is. */
export function invalidPem({ name, look }: Omit<NamedPem, "text">, reason: unknown): MeshError {
  if (reason instanceof MeshError && reason.code === "CA_FILE_INVALID") return reason;
  const why = describeError(reason);
  const hint = `look at it with: ${look}`;
  return new MeshError("CA_FILE_INVALID", `${name} cannot be used: ${why}`, { hint });
}

function readCertificates(pem: NamedPem): X509Certificate[] {
  try {
    return readPemCertificates(checkedText(pem));
  } catch (error) {
    throw invalidPem(pem, error);
  }
}

function readKey(pem: NamedPem): KeyObject {
  try {
    const key = createPrivateKey(checkedText(pem));
    if (key.asymmetricKeyType === "ec" || key.asymmetricKeyType === "rsa") return key;
    throw invalidPem(pem, `a key of type ${key.asymmetricKeyType} cannot sign here`);
  } catch (error) {
    throw invalidPem(pem, error);
  }
}

function checkedText(pem: NamedPem): string {
  if (pem.text.length <= CA_FILE_BYTES) return pem.text;
  throw invalidPem(pem, `it is larger than ${CA_FILE_BYTES} bytes`);
}

function checkCa(pem: NamedPem, certificate: X509Certificate): void {
  if (certificate.ca && readExtensions(certificate.raw).isCa) return;
  throw invalidPem(pem, "it is not a CA's certificate (basicConstraints CA:TRUE)");
}

/** The intermediates from `certificate` on; see CertificateAuthorityMaterial. */
function checkPath(
  pem: NamedPem,
  certificate: X509Certificate,
  candidates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): readonly X509Certificate[] {
  const verdict = findPath(certificate, candidates, roots, now);
  if (!verdict.ok) throw invalidPem(pem, verdict.message);
  return verdict.path;
}
