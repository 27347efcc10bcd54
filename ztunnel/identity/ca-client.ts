/**
 * Istio's certificate service, asked for one identity at a time on behalf of this node's pods. What comes
 * back is checked before anybody uses it: it must be for the identity and the key that were asked for.
 */
import type { KeyObject, X509Certificate } from "node:crypto";
import type { Identity } from "#common/model/identity.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { workloadIdentityOf } from "#common/tls/spiffe-san.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { type CertificateResponse, createCertificate } from "#common/xds/citadel-rpc.ts";
import type { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { CERTIFICATE_CALL_TIMEOUT_MS } from "../limits.ts";

export interface CaClientOptions {
  /** Lifetime asked for; the CA may give less. */
  readonly ttlSeconds: number;
}

export class CaClient {
  readonly #channel: Pick<ControlPlaneChannel, "client" | "metadata" | "url">;
  readonly #options: CaClientOptions;

  constructor(
    channel: Pick<ControlPlaneChannel, "client" | "metadata" | "url">,
    options: CaClientOptions,
  ) {
    this.#channel = channel;
    this.#options = options;
  }

  /** A new key with its certificate. Throws MeshError CA_CALL_FAILED or CA_ANSWER_INVALID. */
  async fetch(identity: Identity): Promise<WorkloadCertificate> {
    const { csrPem, privateKeyPem, publicKey } = createSigningRequest(identity);
    const { certChain } = await this.#call(csrPem, identity);
    return checkedCertificate(identity, publicKey, privateKeyPem, certChain);
  }

  async #call(csr: string, identity: Identity): Promise<CertificateResponse> {
    const [client, metadata] = await Promise.all([
      this.#channel.client(),
      this.#channel.metadata(),
    ]);
    const request = {
      csr,
      validityDurationS: this.#options.ttlSeconds,
      metadata: { ImpersonatedIdentity: identity.uri },
    };
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        createCertificate.path,
        createCertificate.requestSerialize,
        createCertificate.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + CERTIFICATE_CALL_TIMEOUT_MS },
        (error, response) => {
          if (error === null && response !== undefined) return resolve(response);
          const message = `the CA at ${this.#channel.url} gave no certificate for ${identity.uri}`;
          reject(new MeshError("CA_CALL_FAILED", message, { cause: error }));
        },
      );
    });
  }
}

/** Istio's chain: the leaf, intermediates, and the roots as the last element (ambient.md 2.5). */
function checkedCertificate(
  identity: Identity,
  publicKey: KeyObject,
  privateKeyPem: string,
  certChain: readonly string[],
): WorkloadCertificate {
  const rootsPem = certChain.at(-1);
  if (rootsPem === undefined || certChain.length < 2) {
    throw invalid(identity, `${certChain.length} certificates where leaf and root are needed`);
  }
  // One element may hold several certificates: what counts is the text.
  const certChainPem = certChain.slice(0, -1).map(endLine).join("");
  const chain = readPemCertificates(certChainPem);
  const [leaf] = chain;
  if (leaf === undefined) throw invalid(identity, "no leaf certificate");
  checkLeaf(identity, publicKey, leaf);
  checkChain(identity, chain, readPemCertificates(rootsPem));
  return {
    identity,
    certChainPem,
    privateKeyPem,
    rootsPem: endLine(rootsPem),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    serial: leaf.serialNumber.toLowerCase(),
  };
}

function checkLeaf(identity: Identity, publicKey: KeyObject, leaf: X509Certificate): void {
  workloadIdentityOf(leaf.raw, "clientAuth");
  const actual = workloadIdentityOf(leaf.raw, "serverAuth");
  if (actual.uri !== identity.uri) throw invalid(identity, `a certificate for ${actual.uri}`);
  if (!leaf.publicKey.equals(publicKey)) throw invalid(identity, "a certificate for another key");
}

/** Each certificate is signed by the next, the last by one of the roots. */
function checkChain(
  identity: Identity,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): void {
  chain.forEach((certificate, i) => {
    const issuer = chain[i + 1];
    const issuers = issuer === undefined ? roots : [issuer];
    if (issuers.some((candidate) => isIssuedBy(certificate, candidate))) return;
    throw invalid(identity, "a chain that does not lead to its own root");
  });
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function endLine(pem: string): string {
  return pem.endsWith("\n") ? pem : `${pem}\n`;
}

function invalid(identity: Identity, what: string): MeshError {
  return new MeshError("CA_ANSWER_INVALID", `the CA returned ${what} for ${identity.uri}`);
}
