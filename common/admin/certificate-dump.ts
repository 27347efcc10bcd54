/** Certificates as `/config_dump` shows them, in the shape of Istio's ztunnel. Never a key. */
import { X509Certificate } from "node:crypto";
import type { CertManager } from "#common/identity/cert-manager.ts";

/** One identity's certificate, as the certificate manager knows it. */
export interface CertificateState {
  readonly identity: string;
  /** "Available", "Initializing" or "Unavailable: <why>". */
  readonly state: string;
  /** PEM, leaf first; empty where there is none. */
  readonly certChainPem: string;
  readonly rootsPem: string;
}

export function* certificateStates(
  certificates: Pick<CertManager, "statuses">,
): Generator<CertificateState> {
  for (const { identity, status } of certificates.statuses()) {
    const certificate = status.state === "available" ? status.certificate : undefined;
    yield {
      identity: identity.uri,
      state:
        status.state === "unavailable" ? `Unavailable: ${status.error}` : capital(status.state),
      certChainPem: certificate?.certChainPem ?? "",
      rootsPem: certificate?.rootsPem ?? "",
    };
  }
}

export function dumpCertificate(certificate: CertificateState): object {
  return {
    identity: certificate.identity,
    state: certificate.state,
    certChain: dumpPem(certificate.certChainPem),
    rootCerts: dumpPem(certificate.rootsPem),
  };
}

function dumpPem(pem: string): object[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const certificate = new X509Certificate(block);
    return {
      pem: Buffer.from(`${block}\n`).toString("base64"),
      // ztunnel prints serial numbers in decimal.
      serialNumber: BigInt(`0x${certificate.serialNumber}`).toString(),
      validFrom: rfc3339(certificate.validFrom),
      expirationTime: rfc3339(certificate.validTo),
    };
  });
}

/** To the second, as ztunnel prints times. */
function rfc3339(text: string): string {
  return new Date(text).toISOString().replace(/\.\d+Z$/, "Z");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
