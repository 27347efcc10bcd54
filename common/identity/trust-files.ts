/**
 * The two files that say whom to trust beside the CA's answers: the control plane's roots, and
 * CRL_PATH. Other roots mean that a root is being replaced: every certificate is renewed, since the
 * CA's answer is where a workload's roots come from.
 */
import { readFile } from "node:fs/promises";
import type { Logger } from "#common/telemetry/logger.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import { ownChainOf, Revocations } from "#common/tls/revocation.ts";
import type { CertManager } from "./cert-manager.ts";
import { CrlFile, type CrlStatus } from "./crl-file.ts";
import { ROOT_CHANGE_AGAIN_MS, TRUST_FILES_CHECK_INTERVAL_MS } from "./limits.ts";

export interface TrustFilesDeps {
  /** PEM file of the roots that the CA's own server is verified against. */
  readonly rootCertFile: string;
  /** CRL_PATH. */
  readonly crlPath: string | undefined;
  readonly certificates: Pick<CertManager, "renew" | "renewAll" | "statuses">;
  /** All lists in force, whenever they change; once before anything is read. */
  readonly onLists: (lists: readonly RevocationList[]) => void;
  readonly logger: Logger;
}

export class TrustFiles {
  readonly #deps: TrustFilesDeps;
  readonly #crl: CrlFile | undefined;
  #roots: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: TrustFilesDeps) {
    this.#deps = deps;
    const { crlPath, logger, onLists } = deps;
    if (crlPath === undefined) return;
    // Before the first list: from here on peers' chains are kept, to be looked at later.
    onLists([]);
    this.#crl = new CrlFile({ path: crlPath, logger, onLists: (lists) => this.#revoked(lists) });
  }

  /** Resolves when the lists that there are have been read; goes on looking until `close`. */
  async start(): Promise<void> {
    await this.#crl?.start();
    await this.check();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#again);
    this.#crl?.close();
  }

  /** Undefined where there is no CRL_PATH. */
  get crlStatus(): CrlStatus | undefined {
    return this.#crl?.status;
  }

  /** Looks at the roots now, and goes on. */
  async check(): Promise<void> {
    clearTimeout(this.#timer);
    const { certificates, logger, rootCertFile } = this.#deps;
    // A file that cannot be read is told by whoever needs it for a connection.
    const roots = await readFile(rootCertFile, "utf8").catch(() => this.#roots);
    if (this.#roots !== undefined && roots !== this.#roots) {
      logger.info("other roots are to be trusted; all certificates are renewed", {
        file: rootCertFile,
      });
      certificates.renewAll();
      clearTimeout(this.#again);
      this.#again = setTimeout(() => certificates.renewAll(), ROOT_CHANGE_AGAIN_MS);
      this.#again.unref();
    }
    this.#roots = roots;
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.check(), TRUST_FILES_CHECK_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Our own certificates may be on the list, too: nobody takes those any more. */
  #revoked(lists: readonly RevocationList[]): void {
    const { certificates, logger, onLists } = this.#deps;
    onLists(lists);
    const revocations = new Revocations(lists);
    for (const { identity, status } of certificates.statuses()) {
      if (status.state !== "available") continue;
      if (!revocations.hasRevoked(ownChainOf(status.certificate))) continue;
      logger.warn("a certificate of this node was revoked; a new one is asked for", {
        identity: identity.uri,
        serial: status.certificate.serial,
      });
      certificates.renew(identity.uri);
    }
  }
}
