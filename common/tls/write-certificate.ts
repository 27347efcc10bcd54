/**
 * Issues X.509 certificates: the structure is written here, the key and signature are
 * node:crypto's.
 */
import { type KeyObject, randomBytes, X509Certificate } from "node:crypto";
import * as der from "./der-writer.ts";
import { toPem } from "./pem.ts";
import { type KeyPurpose, readSubject, readSubjectKeyIdentifier } from "./x509-extensions.ts";
import {
  type DistinguishedName,
  distinguishedName,
  extension,
  type GeneralName,
  keyIdentifier,
  OID,
  signed,
  subjectAltName,
} from "./x509-structures.ts";

/** A CA's certificate with its private key. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

export interface CertificateTemplate {
  readonly publicKey: KeyObject;
  /** Empty for workloads: their only name is the URI. */
  readonly subject: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Written as a critical extension if the subject is empty; left out if there is none. */
  readonly subjectAltNames: readonly GeneralName[];
  /** Extended key usage; left out if there is none. */
  readonly keyPurposes: readonly KeyPurpose[];
  /** Left out if undefined. A CA gets keyCertSign and cRLSign, everyone else digitalSignature. */
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength?: number } | undefined;
}

/**
 * Issues a certificate. Throws MeshError KEY_UNSUPPORTED for an issuer's key other than ECDSA or
 * RSA.
 */
export function writeCertificate(template: CertificateTemplate, issuer: Issuer): X509Certificate {
  const issuerDer = issuer.certificate.raw;
  return write(template, issuer.privateKey, {
    name: der.encoded(readSubject(issuerDer)),
    keyId: readSubjectKeyIdentifier(issuerDer) ?? keyIdentifier(issuer.certificate.publicKey),
  });
}

/** Issues a certificate that its own key signs: a root. */
export function writeSelfSignedCertificate(
  template: CertificateTemplate,
  privateKey: KeyObject,
): X509Certificate {
  return write(template, privateKey, {
    name: distinguishedName(template.subject),
    keyId: keyIdentifier(template.publicKey),
  });
}

export function certificatePem(certificate: X509Certificate): string {
  return toPem("CERTIFICATE", certificate.raw);
}

interface IssuerName {
  readonly name: der.DerNode;
  readonly keyId: Uint8Array;
}

function write(
  template: CertificateTemplate,
  signingKey: KeyObject,
  issuer: IssuerName,
): X509Certificate {
  const encoded = signed(signingKey, (algorithm) =>
    der.sequence(
      der.contextConstructed(0, der.integer(2)), // version 3
      der.integerBytes(serialNumber()),
      algorithm(),
      issuer.name,
      der.sequence(der.time(template.notBefore), der.time(template.notAfter)),
      distinguishedName(template.subject),
      der.encoded(template.publicKey.export({ format: "der", type: "spki" })),
      der.contextConstructed(3, der.sequence(...extensions(template, issuer.keyId))),
    ),
  );
  return new X509Certificate(encoded);
}

/** 128 bits, 126 of them random: the top ones make the integer positive and minimal. */
function serialNumber(): Uint8Array {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function extensions(template: CertificateTemplate, issuerKeyId: Uint8Array): der.DerNode[] {
  const { basicConstraints, keyPurposes, subjectAltNames, subject } = template;
  const list = [keyUsage(basicConstraints?.ca ?? false)];
  if (keyPurposes.length > 0) {
    const purposes = keyPurposes.map((purpose) => der.oid(OID[purpose]));
    list.push(extension(OID.extendedKeyUsage, false, der.sequence(...purposes)));
  }
  if (basicConstraints !== undefined) list.push(constraints(basicConstraints));
  const keyId = der.octetString(keyIdentifier(template.publicKey));
  list.push(extension(OID.subjectKeyIdentifier, false, keyId));
  const authority = der.sequence(der.contextPrimitive(0, issuerKeyId));
  list.push(extension(OID.authorityKeyIdentifier, false, authority));
  if (subjectAltNames.length > 0) {
    const nameless = subject.organization === undefined && subject.commonName === undefined;
    list.push(subjectAltName(subjectAltNames, nameless));
  }
  return list;
}

/** RFC 5280 4.2.1.3: bit 0 digitalSignature, bits 5 and 6 keyCertSign and cRLSign. */
function keyUsage(ca: boolean): der.DerNode {
  const bits = ca ? der.bitString(Uint8Array.of(0x06), 1) : der.bitString(Uint8Array.of(0x80), 7);
  return extension(OID.keyUsage, true, bits);
}

function constraints(value: { readonly ca: boolean; readonly pathLength?: number }): der.DerNode {
  const fields: der.DerNode[] = [];
  if (value.ca) fields.push(der.boolean(true)); // FALSE is the default, which DER leaves out
  if (value.pathLength !== undefined) fields.push(der.integer(value.pathLength));
  return extension(OID.basicConstraints, true, der.sequence(...fields));
}
