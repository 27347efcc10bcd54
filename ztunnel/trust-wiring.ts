/**
 * The files that say whom to trust, put between those who need them: certificates, workers,
 * metrics.
 */
import type { Registry } from "prom-client";
import { registerCertificateMetrics } from "#common/admin/certificate-metrics.ts";
import type { CertManager } from "#common/identity/cert-manager.ts";
import { TrustFiles } from "#common/identity/trust-files.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { DataWorkers } from "./proxy/data-workers.ts";

export interface TrustWiringDeps {
  readonly certificates: CertManager;
  readonly workers: Pick<DataWorkers, "setRevocations">;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** Resolves when the revocation lists that there are have been read and handed on. */
export async function watchTrust(
  { ca, crlPath }: Pick<ZtunnelConfig, "ca" | "crlPath">,
  { certificates, workers, registry, logger }: TrustWiringDeps,
): Promise<TrustFiles> {
  const trust = new TrustFiles({
    rootCertFile: ca.rootCertFile,
    crlPath,
    certificates,
    onLists: (lists) => workers.setRevocations(lists),
    logger: logger.scope("identity"),
  });
  registerCertificateMetrics(registry, { certificates, crl: () => trust.crlStatus });
  await trust.start();
  return trust;
}
