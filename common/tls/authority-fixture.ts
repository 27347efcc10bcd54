/** For tests: a CA in memory that issues workload certificates, right ones and wrong ones. */
import { generateKeyPairSync, type KeyObject, type X509Certificate } from "node:crypto";
import { makeIdentity } from "#common/model/identity.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";
import {
  type CertificateTemplate,
  certificatePem,
  type Issuer,
  writeCertificate,
  writeSelfSignedCertificate,
} from "./write-certificate.ts";

const HOUR_MS = 3_600_000;

export const TEST_IDENTITY = makeIdentity("cluster.local", "default", "test");

export function p256(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

export class TestAuthority {
  readonly issuer: Issuer;
  /** From this CA's certificate up to but without the root. */
  readonly intermediates: readonly X509Certificate[];
  readonly rootsPem: string;

  private constructor(issuer: Issuer, intermediates: readonly X509Certificate[], rootsPem: string) {
    this.issuer = issuer;
    this.intermediates = intermediates;
    this.rootsPem = rootsPem;
  }

  static root(template: Partial<CertificateTemplate> = {}): TestAuthority {
    const { publicKey, privateKey } = p256();
    const certificate = writeSelfSignedCertificate(
      { ...caTemplate(publicKey, "test root"), ...template },
      privateKey,
    );
    return new TestAuthority({ certificate, privateKey }, [], certificatePem(certificate));
  }

  /** A CA below this one. */
  intermediate(template: Partial<CertificateTemplate> = {}): TestAuthority {
    const { publicKey, privateKey } = p256();
    const wanted = { ...caTemplate(publicKey, "test intermediate"), ...template };
    const certificate = writeCertificate(wanted, this.issuer);
    const chain = [certificate, ...this.intermediates];
    return new TestAuthority({ certificate, privateKey }, chain, this.rootsPem);
  }

  /** A workload certificate for TEST_IDENTITY and one hour, but for what `template` says. */
  workload(template: Partial<CertificateTemplate> = {}): WorkloadCertificate {
    const { publicKey, privateKey } = p256();
    const leaf = writeCertificate({ ...workloadTemplate(publicKey), ...template }, this.issuer);
    return {
      identity: TEST_IDENTITY,
      certChainPem: [leaf, ...this.intermediates].map(certificatePem).join(""),
      privateKeyPem: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      rootsPem: this.rootsPem,
      notBefore: leaf.validFromDate.getTime(),
      notAfter: leaf.validToDate.getTime(),
      serial: leaf.serialNumber.toLowerCase(),
    };
  }
}

export function workloadTemplate(publicKey: KeyObject): CertificateTemplate {
  return {
    publicKey,
    subject: {},
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    subjectAltNames: [{ type: "uri", value: TEST_IDENTITY.uri }],
    keyPurposes: ["serverAuth", "clientAuth"],
    basicConstraints: { ca: false },
  };
}

function caTemplate(publicKey: KeyObject, commonName: string): CertificateTemplate {
  return {
    publicKey,
    subject: { organization: "cluster.local", commonName },
    notBefore: new Date(Date.now() - 2 * HOUR_MS),
    notAfter: new Date(Date.now() + 48 * HOUR_MS),
    subjectAltNames: [],
    keyPurposes: [],
    basicConstraints: { ca: true },
  };
}
