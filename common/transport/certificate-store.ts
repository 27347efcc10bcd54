/** The certificates a data worker has, and the wait for those that are still on their way. */
import type { SecureContext } from "node:tls";
import type { Identity } from "#common/model/identity.ts";
import { createWorkloadSecureContext } from "#common/tls/mtls-options.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { type ConnectionFailure, failure } from "./failure.ts";
import { CERTIFICATE_WAIT_MS } from "./limits.ts";

export interface StoredCertificate {
  readonly certificate: WorkloadCertificate;
  readonly context: SecureContext;
}

type Waiter = (stored: StoredCertificate | undefined) => void;

export class CertificateStore {
  readonly #stored = new Map<string, StoredCertificate>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #request: (identity: Identity) => void;
  readonly #onRotated: (stored: StoredCertificate) => void;

  /**
   * `request` asks the control thread for an identity; `onRotated` hears of every new certificate.
   */
  constructor(
    request: (identity: Identity) => void,
    onRotated: (stored: StoredCertificate) => void,
  ) {
    this.#request = request;
    this.#onRotated = onRotated;
  }

  put(certificate: WorkloadCertificate): void {
    const stored = { certificate, context: createWorkloadSecureContext(certificate) };
    const uri = certificate.identity.uri;
    this.#stored.set(uri, stored);
    this.#onRotated(stored);
    this.#settle(uri, stored);
  }

  remove(identityUri: string): void {
    this.#stored.delete(identityUri);
  }

  peek(identity: Identity): StoredCertificate | undefined {
    return this.#stored.get(identity.uri);
  }

  /** The certificate, now or within `CERTIFICATE_WAIT_MS`. An expired one is no certificate. */
  async get(identity: Identity): Promise<StoredCertificate | ConnectionFailure> {
    const stored = this.#stored.get(identity.uri);
    if (stored !== undefined && stored.certificate.notAfter > Date.now()) return stored;
    const arrived = await this.#wait(identity);
    return (
      arrived ??
      failure(
        "identity-unavailable",
        `no valid certificate for ${identity.uri}: is the CA reachable?`,
      )
    );
  }

  #wait(identity: Identity): Promise<StoredCertificate | undefined> {
    this.#request(identity);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(identity.uri) ?? new Set<Waiter>();
      this.#waiters.set(identity.uri, waiters);
      const timer = setTimeout(() => waiter(undefined), CERTIFICATE_WAIT_MS);
      const waiter: Waiter = (result) => {
        clearTimeout(timer);
        waiters.delete(waiter);
        if (waiters.size === 0) this.#waiters.delete(identity.uri);
        resolve(result);
      };
      waiters.add(waiter);
    });
  }

  #settle(uri: string, stored: StoredCertificate): void {
    for (const waiter of [...(this.#waiters.get(uri) ?? [])]) waiter(stored);
  }
}
