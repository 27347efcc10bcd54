/**
 * Issues certificates for workloads and for istiod-lite itself, under the CA that ca-files.ts
 * loaded.
 */
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import type { Identity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { describeCertificate } from "#common/tls/certificate-path.ts";
import {
  type CertificateTemplate,
  certificatePem,
  type Issuer,
  writeCertificate,
  writeSelfSignedCertificate,
} from "#common/tls/write-certificate.ts";
import {
  CERTIFICATE_BACKDATE_S,
  SELF_SIGNED_ROOT_TTL_S,
  SERVER_CERTIFICATE_TTL_S,
} from "../limits.ts";

export interface CertificateAuthorityMaterial {
  readonly issuer: Issuer;
  /**
   * From the issuing CA's own certificate up to but without the root; empty if that is the root.
   */
  readonly intermediates: readonly X509Certificate[];
  /** What everyone trusts; several while a root is being replaced. */
  readonly roots: readonly X509Certificate[];
}

export interface IssuedCertificate {
  readonly leafPem: string;
  /** One PEM block per element, the issuer of the leaf first. */
  readonly intermediatesPem: readonly string[];
  readonly rootsPem: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface ServerCredentials {
  readonly certChainPem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export class CertificateAuthority {
  readonly #material: CertificateAuthorityMaterial;
  readonly #now: () => number;
  /** PEM of all roots: what `istio-ca-root-cert` and proxies get. */
  readonly rootsPem: string;
  /**
   * Nothing issued lives longer than this, the first expiry on the way to the root; milliseconds.
   */
  readonly notAfter: number;
  readonly #intermediatesPem: readonly string[];

  constructor(material: CertificateAuthorityMaterial, now: () => number = Date.now) {
    this.#material = material;
    this.#now = now;
    this.rootsPem = material.roots.map(certificatePem).join("");
    this.#intermediatesPem = material.intermediates.map(certificatePem);
    const chain = [material.issuer.certificate, ...material.intermediates];
    this.notAfter = Math.min(...chain.map((one) => one.validToDate.getTime()));
  }

  /** Whether the other one issues the same: issuer, chain and roots are equal. */
  isSameAs(other: CertificateAuthority): boolean {
    return this.#fingerprints() === other.#fingerprints();
  }

  /** For the log and metrics: who issues, how many are trusted, until when. */
  get summary(): { readonly issuer: string; readonly roots: number; readonly notAfter: string } {
    const { issuer, roots } = this.#material;
    const notAfter = new Date(this.notAfter).toISOString();
    return { issuer: describeCertificate(issuer.certificate), roots: roots.length, notAfter };
  }

  /** When the first of the roots ends; milliseconds since the epoch. */
  get rootsNotAfter(): number {
    return Math.min(...this.#material.roots.map((root) => root.validToDate.getTime()));
  }

  #fingerprints(): string {
    const { issuer, intermediates, roots } = this.#material;
    const lists = [[issuer.certificate], intermediates, roots];
    return lists.map((list) => list.map((one) => one.fingerprint256).join(" ")).join("|");
  }

  /**
   * A certificate for one workload identity and both ends of a connection. Throws MeshError
   * CA_EXPIRED once the CA itself is at its end.
   */
  issueWorkload(publicKey: KeyObject, identity: Identity, ttlSeconds: number): IssuedCertificate {
    const leaf = this.#issue(ttlSeconds, {
      publicKey,
      subject: {},
      subjectAltNames: [{ type: "uri", value: identity.uri }],
      keyPurposes: ["serverAuth", "clientAuth"],
      basicConstraints: { ca: false },
    });
    return {
      leafPem: certificatePem(leaf),
      intermediatesPem: this.#intermediatesPem,
      rootsPem: this.rootsPem,
      notAfter: leaf.validToDate.getTime(),
    };
  }

  /** A new key and certificate for a TLS server that is found by name, as istiod-lite's own is. */
  issueServer(
    dnsNames: readonly string[],
    ips: readonly IpAddress[] = [],
    ttlSeconds: number = SERVER_CERTIFICATE_TTL_S,
  ): ServerCredentials {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const leaf = this.#issue(ttlSeconds, {
      publicKey,
      subject: {},
      subjectAltNames: [
        ...dnsNames.map((value) => ({ type: "dns", value }) as const),
        ...ips.map((value) => ({ type: "ip", value }) as const),
      ],
      keyPurposes: ["serverAuth"],
      basicConstraints: { ca: false },
    });
    return {
      certChainPem: [certificatePem(leaf), ...this.#intermediatesPem].join(""),
      privateKeyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      notAfter: leaf.validToDate.getTime(),
    };
  }

  #issue(
    ttlSeconds: number,
    template: Omit<CertificateTemplate, "notBefore" | "notAfter">,
  ): X509Certificate {
    const now = this.#now();
    const notAfter = Math.min(now + ttlSeconds * 1000, this.notAfter);
    if (notAfter <= now) {
      throw new MeshError(
        "CA_EXPIRED",
        `the CA's certificates expired at ${new Date(this.notAfter).toISOString()}`,
        {
          hint: "put a new ca-cert.pem with its key and chain into the CA's folder",
        },
      );
    }
    return writeCertificate(
      { ...template, notBefore: backdated(now), notAfter: new Date(notAfter) },
      this.#material.issuer,
    );
  }
}

/** A new self-signed root, as PEM, with `organization` (the trust domain) in its subject. */
export function makeRoot(
  organization: string,
  now: number,
): { readonly certPem: string; readonly keyPem: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const root = writeSelfSignedCertificate(
    {
      publicKey,
      subject: { organization },
      notBefore: backdated(now),
      notAfter: new Date(now + SELF_SIGNED_ROOT_TTL_S * 1000),
      subjectAltNames: [],
      keyPurposes: [],
      basicConstraints: { ca: true },
    },
    privateKey,
  );
  return {
    certPem: certificatePem(root),
    keyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

/** The material of a root and its key, both PEM. */
export function rootMaterial(certPem: string, keyPem: string): CertificateAuthorityMaterial {
  const certificate = new X509Certificate(certPem);
  const issuer = { certificate, privateKey: createPrivateKey(keyPem) };
  return { issuer, intermediates: [], roots: [certificate] };
}

function backdated(now: number): Date {
  return new Date(now - CERTIFICATE_BACKDATE_S * 1000);
}
