/** What was built and what it runs on: `version` in the config dump, by the names of ztunnel's. */

export interface BuildInfo {
  readonly version: string;
  /** Of the Istio that deployed it; "unknown" where its charts did not say. */
  readonly istioVersion: string;
  readonly cryptoProvider: string;
  readonly nodeVersion: string;
}

export function buildInfo(
  version: string,
  env: Readonly<Record<string, string | undefined>>,
): BuildInfo {
  return {
    version,
    istioVersion: env.ISTIO_META_ISTIO_VERSION || "unknown",
    cryptoProvider: `openssl ${process.versions.openssl}`,
    nodeVersion: process.version,
  };
}
