/**
 * The path from a certificate to a root, checked with node:crypto: names, signatures, dates, CA
 * flags and path lengths. For what the CA loads and what it answers; peers are verified by OpenSSL
 * in the handshake.
 */
import type { X509Certificate } from "node:crypto";
import { MAX_PEM_CERTIFICATES } from "./limits.ts";
import { readExtensions } from "./x509-extensions.ts";

export type PathVerdict =
  | {
      readonly ok: true;
      /** `leaf` first, then its issuers up to but without the root; empty if `leaf` is a root. */
      readonly path: readonly X509Certificate[];
      readonly root: X509Certificate;
    }
  | { readonly ok: false; readonly message: string };

/** Looks for a path from `leaf` over `candidates` to one of `roots` that is valid at `now` (ms). */
export function findPath(
  leaf: X509Certificate,
  candidates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): PathVerdict {
  const path: X509Certificate[] = [];
  let current = leaf;
  for (let depth = 0; depth <= MAX_PEM_CERTIFICATES; depth++) {
    const invalid = notValidAt(current, now);
    if (invalid !== undefined) return { ok: false, message: invalid };
    const self = roots.find((root) => root.raw.equals(current.raw));
    if (self !== undefined) return { ok: true, path, root: self };
    path.push(current);
    const child = current;
    const below = path.filter((one) => one.ca).length;
    const unused = candidates.filter((one) => !path.some((used) => used.raw.equals(one.raw)));
    const issuer = [...roots, ...unused].find((one) => isIssuer(one, child, below));
    if (issuer === undefined) {
      return { ok: false, message: `no issuer of ${describeCertificate(current)} leads to a root` };
    }
    current = issuer;
  }
  return { ok: false, message: "the certificate chain is too long" };
}

/** Subject, or the names where that is empty, for messages. */
export function describeCertificate(certificate: X509Certificate): string {
  const subject = certificate.subject?.replaceAll("\n", ", ");
  return `"${subject || certificate.subjectAltName || certificate.serialNumber}"`;
}

/** Why the certificate is not valid at this time, or undefined. */
export function notValidAt(certificate: X509Certificate, now: number): string | undefined {
  const name = describeCertificate(certificate);
  if (now < certificate.validFromDate.getTime()) {
    return `${name} is not valid before ${certificate.validFromDate.toISOString()}`;
  }
  if (now > certificate.validToDate.getTime()) {
    return `${name} expired at ${certificate.validToDate.toISOString()}`;
  }
  return undefined;
}

/** `below` counts the CAs between `issuer` and the leaf, which a path length limits. */
function isIssuer(issuer: X509Certificate, child: X509Certificate, below: number): boolean {
  if (!child.checkIssued(issuer) || !child.verify(issuer.publicKey)) return false;
  if (!issuer.ca) return false;
  const { pathLength } = readExtensions(issuer.raw);
  return pathLength === undefined || below <= pathLength;
}
