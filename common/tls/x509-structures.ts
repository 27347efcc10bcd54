/** The pieces that certificates and signing requests share, as DER. Numbers: RFC 5280, RFC 5480. */
import { createHash, type KeyObject, sign } from "node:crypto";
import { type IpAddress, ipToBytes } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import * as der from "./der-writer.ts";

/** A subject alternative name to write. */
export type GeneralName =
  | { readonly type: "uri" | "dns"; readonly value: string }
  | { readonly type: "ip"; readonly value: IpAddress };

/** Who a certificate is about. Workload leaves have neither. */
export interface DistinguishedName {
  readonly organization?: string;
  readonly commonName?: string;
}

export const OID = {
  organization: "2.5.4.10",
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  /** PKCS#9 attribute of a signing request (RFC 2986). */
  extensionRequest: "1.2.840.113549.1.9.14",
} as const;

/** GeneralName's context tags (RFC 5280 4.2.1.6). */
const NAME_TAG = { dns: 2, uri: 6, ip: 7 } as const;

export function distinguishedName(name: DistinguishedName): der.DerNode {
  const attributes: der.DerNode[] = [];
  if (name.organization !== undefined) attributes.push(rdn(OID.organization, name.organization));
  if (name.commonName !== undefined) attributes.push(rdn(OID.commonName, name.commonName));
  return der.sequence(...attributes);
}

function rdn(oid: string, value: string): der.DerNode {
  return der.set(der.sequence(der.oid(oid), der.utf8String(value)));
}

export function extension(oid: string, critical: boolean, value: der.DerNode): der.DerNode {
  const content = der.octetString(der.toDer(value));
  return critical
    ? der.sequence(der.oid(oid), der.boolean(true), content)
    : der.sequence(der.oid(oid), content);
}

/** Critical where the subject is empty (RFC 5280 4.2.1.6). */
export function subjectAltName(names: readonly GeneralName[], critical: boolean): der.DerNode {
  const nodes = names.map((name) =>
    name.type === "ip"
      ? der.contextPrimitive(NAME_TAG.ip, ipToBytes(name.value))
      : der.contextPrimitive(NAME_TAG[name.type], Buffer.from(name.value, "latin1")),
  );
  return extension(OID.subjectAltName, critical, der.sequence(...nodes));
}

/** RFC 5280 4.2.1.2 method 1: SHA-1 over the public key's bits. A name for a key, no protection. */
export function keyIdentifier(publicKey: KeyObject): Uint8Array {
  const spki = publicKey.export({ format: "der", type: "spki" });
  const bits = publicKey.asymmetricKeyType === "ec" ? ecPoint(publicKey) : spki;
  return createHash("sha1").update(bits).digest();
}

function ecPoint(publicKey: KeyObject): Uint8Array {
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  return Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
}

/**
 * Signs `body` and returns SEQUENCE { body, algorithm, signature } as DER: the outer shape of both
 * a certificate and a signing request. `body` gets the algorithm, because a certificate repeats it
 * inside. Throws MeshError KEY_UNSUPPORTED for a key that is neither ECDSA nor RSA.
 */
export function signed(
  signingKey: KeyObject,
  body: (algorithm: () => der.DerNode) => der.DerNode,
): Buffer {
  const algorithm = (): der.DerNode => signatureAlgorithm(signingKey);
  const content = body(algorithm);
  const signature = sign("sha256", der.toDer(content), { key: signingKey, dsaEncoding: "der" });
  return der.toDer(der.sequence(content, algorithm(), der.bitString(signature)));
}

function signatureAlgorithm(key: KeyObject): der.DerNode {
  if (key.asymmetricKeyType === "ec") return der.sequence(der.oid(OID.ecdsaWithSha256));
  if (key.asymmetricKeyType === "rsa") {
    return der.sequence(der.oid(OID.sha256WithRsa), der.nullValue());
  }
  throw new MeshError(
    "KEY_UNSUPPORTED",
    `cannot sign with a key of type ${key.asymmetricKeyType ?? key.type}`,
    { hint: "use an ECDSA P-256 or an RSA key" },
  );
}
