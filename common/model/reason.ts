/**
 * Why a connection was refused, reset or closed early: one closed list that feeds the access log,
 * the `response_flags` label and the tests. Each has its heading in docs/troubleshooting.md.
 */

/** Istio's `response_flags` label values. */
export type ResponseFlag =
  | "-"
  | "DENY"
  | "CONNECT"
  | "TLS_FAILURE"
  | "H2_HANDSHAKE_FAILURE"
  | "NETWORK_POLICY"
  | "IDENTITY_ERROR"
  | "CERT_REVOKED";

/**
 * Istio flags every failure that has no flag of its own CONNECT; an application's reset is none.
 */
const FLAGS = {
  "explicit-deny": "DENY",
  "no-allow-matched": "DENY",
  "policies-not-ready": "DENY",
  "policy-changed": "DENY",
  "unknown-source": "CONNECT",
  "unknown-destination": "CONNECT",
  "registry-only": "CONNECT",
  "unknown-waypoint": "CONNECT",
  "no-healthy-upstream": "CONNECT",
  "recursive-call": "CONNECT",
  "original-destination-missing": "CONNECT",
  "ip-mismatch": "CONNECT",
  "bad-request": "CONNECT",
  "connect-failed": "CONNECT",
  "connect-timeout": "CONNECT",
  "hbone-timeout": "NETWORK_POLICY",
  "tls-failed": "TLS_FAILURE",
  "tls-timeout": "TLS_FAILURE",
  "identity-unavailable": "IDENTITY_ERROR",
  "identity-mismatch": "TLS_FAILURE",
  "certificate-revoked": "CERT_REVOKED",
  "h2-failed": "H2_HANDSHAKE_FAILURE",
  "http-status": "CONNECT",
  "peer-reset": "-",
  "io-error": "CONNECT",
  draining: "CONNECT",
  "drain-timeout": "CONNECT",
  "workload-removed": "CONNECT",
  "limit-reached": "CONNECT",
} as const satisfies Readonly<Record<string, ResponseFlag>>;

/** Why, as one word. */
export type Reason = keyof typeof FLAGS;

export const REASONS = Object.keys(FLAGS) as readonly Reason[];

export function responseFlag(reason: Reason | undefined): ResponseFlag {
  return reason === undefined ? "-" : FLAGS[reason];
}
