/**
 * The one place for the TLS settings between proxies: HBONE's mutual TLS (Istio ztunnel src/tls).
 *
 * A session is never resumed: a resumed one would skip the check of the peer's certificate, and so
 * outlive a rotated root (CVE-2022-21654). The server hands out no usable ticket, the client keeps
 * none.
 */
import { constants } from "node:crypto";
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type TlsOptions,
} from "node:tls";
import type { TrustDomains } from "#common/model/identity.ts";
import { TLS_HANDSHAKE_TIMEOUT_MS } from "./limits.ts";
import { serverIdentityCheck } from "./verify-peer.ts";
import type { WorkloadCertificate } from "./workload-certificate.ts";

/** HBONE speaks HTTP/2 only. */
export const HBONE_ALPN = "h2";

/**
 * AES-128-GCM first: measured faster, and as safe here. No ChaCha20: every node has AES
 * instructions.
 */
export const MTLS_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

/** Both are offered: a stock ztunnel knows X25519 or, built with OpenSSL, P-256. */
export const MTLS_CURVES = "X25519:P-256";

/** Protocol settings without any key: what a context has in common with every other. */
export const MTLS_PROTOCOL = {
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  ciphers: MTLS_CIPHERS,
  ecdhCurve: MTLS_CURVES,
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies SecureContextOptions;

/**
 * A TLS context for either side. Costs about a millisecond: make one per certificate and keep it.
 * Throws what OpenSSL says where certificate, key or roots are unusable.
 */
export function createWorkloadSecureContext(certificate: WorkloadCertificate): SecureContext {
  return createSecureContext(contextOptions(certificate));
}

function contextOptions(certificate: WorkloadCertificate): SecureContextOptions {
  return {
    ...MTLS_PROTOCOL,
    cert: certificate.certChainPem,
    key: certificate.privateKeyPem,
    ca: certificate.rootsPem,
  };
}

/**
 * Options for `tls.createServer` or `http2.createSecureServer`, one server per identity; accepted
 * sockets are handed over by `server.emit("connection", socket)`, and a rotated certificate by
 * `server.setSecureContext(mtlsServerOptions(next))`.
 *
 * A peer without an acceptable certificate is destroyed before "secureConnection"; "tlsClientError"
 * then has a socket whose failure `describeHandshakeFailure` explains. On "secureConnection" call
 * `verifyClientPeer` before anything else.
 */
export function mtlsServerOptions(certificate: WorkloadCertificate): TlsOptions {
  return {
    ...contextOptions(certificate),
    ALPNProtocols: [HBONE_ALPN],
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
  };
}

/**
 * Options for `tls.connect` over a connected `socket`: no server name is sent, no session is
 * offered, and "secureConnect" fires only for a server whose certificate names one of `expected`
 * (identity URIs); anything else is an "error" (a MeshError, or OpenSSL's). The handshake's time
 * limit (TLS_HANDSHAKE_TIMEOUT_MS) is the caller's to keep: Node has none for clients.
 */
export function mtlsClientOptions(
  context: SecureContext,
  expected: ReadonlySet<string>,
  trustDomains: TrustDomains,
): ConnectionOptions {
  return {
    secureContext: context,
    ALPNProtocols: [HBONE_ALPN],
    rejectUnauthorized: true,
    servername: "",
    checkServerIdentity: serverIdentityCheck(expected, trustDomains),
  };
}
