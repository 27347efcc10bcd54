/**
 * Metrics of what this node trusts and proves itself with. One series per class of certificate, the
 * one that ends first: identities are as many as pods, and a label for each would be theirs to
 * grow.
 */
import { Gauge, type Registry } from "prom-client";
import type { CertManager } from "#common/identity/cert-manager.ts";
import type { CrlStatus } from "#common/identity/crl-file.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";

export interface CertificateMetricsSources {
  readonly certificates: Pick<CertManager, "held" | "statuses">;
  /** Undefined where there is no CRL_PATH. */
  readonly crl: () => CrlStatus | undefined;
}

const STATES = ["available", "initializing", "unavailable"] as const;

export function registerCertificateMetrics(
  registry: Registry,
  { certificates, crl }: CertificateMetricsSources,
): void {
  const registers = [registry];
  const expiry: Gauge = new Gauge({
    name: "ambient_certificate_expiry_seconds",
    help: "Seconds until the first of a class ends: workload certificate, root, revocation list",
    labelNames: ["class"],
    registers,
    collect: () => {
      expiry.reset();
      for (const [label, notAfter] of ends([...certificates.held()], crl())) {
        expiry.set({ class: label }, Math.round((notAfter - Date.now()) / 1000));
      }
    },
  });
  const counts: Gauge = new Gauge({
    name: "ambient_certificates",
    help: "Identities of this node by the state of their certificate",
    labelNames: ["state"],
    registers,
    collect: () => {
      for (const state of STATES) counts.set({ state }, 0);
      for (const { status } of certificates.statuses()) counts.inc({ state: status.state });
    },
  });
  if (crl() !== undefined) registerRevocations(registry, crl);
}

function registerRevocations(registry: Registry, crl: () => CrlStatus | undefined): void {
  new Gauge({
    name: "ambient_revoked_certificates",
    help: "Certificates on the revocation lists in force",
    registers: [registry],
    collect() {
      this.set(crl()?.revoked ?? 0);
    },
  });
  new Gauge({
    name: "ambient_crl_unusable",
    help: "1 while the file of CRL_PATH cannot be used and an older one is in force",
    registers: [registry],
    collect() {
      this.set(crl()?.failing === true ? 1 : 0);
    },
  });
}

/** An end that has passed counts too: that is when somebody should be woken. */
function* ends(
  held: readonly WorkloadCertificate[],
  crl: CrlStatus | undefined,
): Generator<readonly [string, number]> {
  if (held.length > 0) yield ["workload", Math.min(...held.map(({ notAfter }) => notAfter))];
  const roots = [...new Set(held.map(({ rootsPem }) => rootsPem))].flatMap(readPemCertificates);
  const rootEnds = roots.map((root) => root.validToDate.getTime());
  if (rootEnds.length > 0) yield ["root", Math.min(...rootEnds)];
  if (crl?.nextUpdate !== undefined) yield ["crl", crl.nextUpdate];
}
