/**
 * Istio's certificate service, asked for one identity at a time: a ztunnel asks on behalf of its
 * node's pods, a waypoint for itself. What comes back is checked before anybody uses it: it must be
 * for the identity and the key that were asked for, and lead to the roots that came with it.
 */
import type { KeyObject, X509Certificate } from "node:crypto";
import type { Identity } from "#common/model/identity.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { workloadIdentityOf } from "#common/tls/spiffe-san.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { certificatePem } from "#common/tls/write-certificate.ts";
import { type CertificateResponse, createCertificate } from "#common/xds/citadel-rpc.ts";
import type { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { CERTIFICATE_CALL_TIMEOUT_MS } from "./limits.ts";

export interface CaClientOptions {
  /** Lifetime asked for; the CA may give less. */
  readonly ttlSeconds: number;
  /**
   * Whether the caller's own identity is asked for, not one of its node's: then it is not named,
   * since a CA lets only node proxies name any. @default false
   */
  readonly ownIdentity?: boolean;
  /** Default CERTIFICATE_CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number;
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

  /**
   * A new key with its certificate. Rejects with MeshError CA_CALL_FAILED (refused, away, too late)
   * or CA_ANSWER_INVALID (an answer that nobody must use), or as the channel does for its files.
   */
  async fetch(identity: Identity): Promise<WorkloadCertificate> {
    const { csrPem, privateKeyPem, publicKey } = createSigningRequest(identity);
    const { certChain } = await this.#call(csrPem, identity);
    try {
      return { identity, privateKeyPem, ...checkedChain(identity, publicKey, certChain) };
    } catch (cause) {
      const message = `unusable answer of the CA at ${this.#channel.url} for ${identity.uri}`;
      throw new MeshError("CA_ANSWER_INVALID", message, { cause });
    }
  }

  async #call(csr: string, identity: Identity): Promise<CertificateResponse> {
    const [client, metadata] = await Promise.all([
      this.#channel.client(),
      this.#channel.metadata(),
    ]);
    const { ttlSeconds, ownIdentity = false, timeoutMs: givenMs } = this.#options;
    const request = {
      csr,
      validityDurationS: ttlSeconds,
      metadata: ownIdentity ? {} : { ImpersonatedIdentity: identity.uri },
    };
    const timeoutMs = givenMs ?? CERTIFICATE_CALL_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        createCertificate.path,
        createCertificate.requestSerialize,
        createCertificate.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null && response !== undefined) return resolve(response);
          const message = `the CA at ${this.#channel.url} gave no certificate for ${identity.uri}`;
          reject(new MeshError("CA_CALL_FAILED", message, { cause: error }));
        },
      );
    });
  }
}

type CheckedChain = Omit<WorkloadCertificate, "identity" | "privateKeyPem">;

/** Istio's chain: the leaf, intermediates, and the roots as the last element (ambient.md 2.5). */
function checkedChain(
  identity: Identity,
  publicKey: KeyObject,
  certChain: readonly string[],
): CheckedChain {
  if (certChain.length < 2) {
    throw invalid(`it has ${certChain.length} elements where leaf and roots are needed`);
  }
  const roots = readPemCertificates(certChain.at(-1) ?? "");
  // One element may hold several certificates, so what counts is the text as a whole.
  const [leaf, ...intermediates] = readPemCertificates(certChain.slice(0, -1).join("\n"));
  if (leaf === undefined) throw invalid("it holds no certificate");
  checkLeaf(identity, publicKey, leaf);
  const verdict = findPath(leaf, intermediates, roots, Date.now());
  if (!verdict.ok) throw invalid(verdict.message);
  return {
    certChainPem: verdict.path.map(certificatePem).join(""),
    rootsPem: roots.map(certificatePem).join(""),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    serial: leaf.serialNumber.toLowerCase(),
  };
}

function checkLeaf(identity: Identity, publicKey: KeyObject, leaf: X509Certificate): void {
  workloadIdentityOf(leaf.raw, "clientAuth");
  const actual = workloadIdentityOf(leaf.raw, "serverAuth");
  if (actual.uri !== identity.uri) throw invalid(`its certificate is for ${actual.uri}`);
  if (!leaf.publicKey.equals(publicKey)) throw invalid("its certificate is for another key");
}

function invalid(what: string): MeshError {
  return new MeshError("CA_ANSWER_INVALID", what);
}
