/**
 * Who is at the other end, asked once the handshake is over. OpenSSL has verified the chain against
 * our roots by then; this file insists that it did, and reads identity and purpose from the leaf's
 * DER.
 */
import type { PeerCertificate, TLSSocket } from "node:tls";
import { type Identity, makeIdentity, type TrustDomains } from "#common/model/identity.ts";
import type { Reason } from "#common/model/reason.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { workloadIdentityOf } from "./spiffe-san.ts";
import type { KeyPurpose } from "./x509-extensions.ts";

export type PeerVerdict = { readonly ok: true; readonly identity: Identity } | PeerRefused;

export interface PeerRefused {
  readonly ok: false;
  readonly reason: Extract<Reason, "tls-failed" | "tls-timeout" | "identity-mismatch">;
  readonly message: string;
}

/**
 * The server must be of our trust domain or of an alias, and one of `expected` (identity URIs),
 * whichever of these domains either is named by.
 */
export function verifyServerPeer(
  socket: TLSSocket,
  expected: ReadonlySet<string>,
  trustDomains: TrustDomains,
): PeerVerdict {
  const refused = refusedByOpenssl(socket);
  if (refused !== undefined) return refused;
  return checkServerLeaf(leafOf(socket), expected, trustDomains);
}

/**
 * The client must be of our trust domain or of an alias; who it may talk to is authorization's
 * question.
 */
export function verifyClientPeer(socket: TLSSocket, trustDomains: TrustDomains): PeerVerdict {
  const refused = refusedByOpenssl(socket);
  if (refused !== undefined) return refused;
  return checkLeaf(leafOf(socket), "clientAuth", trustDomains);
}

/**
 * For `tls.connect`: the same check before "secureConnect", so that no byte is sent to a wrong
 * peer.
 */
export function serverIdentityCheck(
  expected: ReadonlySet<string>,
  trustDomains: TrustDomains,
): (host: string, certificate: PeerCertificate) => MeshError | undefined {
  return (_host, certificate) => {
    const verdict = checkServerLeaf(certificate.raw, expected, trustDomains);
    return verdict.ok ? undefined : new MeshError("PEER_IDENTITY_REFUSED", verdict.message);
  };
}

/**
 * Explains a server's "tlsClientError", or an "error" of a client's TLS socket, for the access log.
 */
export function describeHandshakeFailure(error: Error, socket?: TLSSocket): PeerRefused {
  const code = "code" in error ? error.code : undefined;
  if (code === "PEER_IDENTITY_REFUSED") {
    return { ok: false, reason: "identity-mismatch", message: error.message };
  }
  if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") {
    return {
      ok: false,
      reason: "tls-timeout",
      message: "the peer did not finish the TLS handshake",
    };
  }
  const refusal: unknown = socket?.authorizationError;
  const why = refusal ? `peer certificate refused: ${refusalText(refusal)}` : describeError(error);
  return { ok: false, reason: "tls-failed", message: why };
}

function checkServerLeaf(
  leafDer: Uint8Array | undefined,
  expected: ReadonlySet<string>,
  trustDomains: TrustDomains,
): PeerVerdict {
  const verdict = checkLeaf(leafDer, "serverAuth", trustDomains);
  if (!verdict.ok || names(expected, verdict.identity, trustDomains)) return verdict;
  const wanted = [...expected].slice(0, 3).join(", ");
  return mismatch(
    `identity verification error: peer is ${verdict.identity.uri}, expected ${wanted}`,
  );
}

function names(expected: ReadonlySet<string>, peer: Identity, domains: TrustDomains): boolean {
  const { namespace, serviceAccount } = peer;
  return domains.some((domain) =>
    expected.has(makeIdentity(domain, namespace, serviceAccount).uri),
  );
}

function checkLeaf(
  leafDer: Uint8Array | undefined,
  purpose: KeyPurpose,
  trustDomains: TrustDomains,
): PeerVerdict {
  if (leafDer === undefined) {
    return { ok: false, reason: "tls-failed", message: "the peer presented no certificate" };
  }
  let identity: Identity;
  try {
    identity = workloadIdentityOf(leafDer, purpose);
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    return mismatch(`identity verification error: ${error.message}`);
  }
  if (!trustDomains.includes(identity.trustDomain)) {
    const ours = trustDomains.join(" or ");
    return mismatch(
      `identity verification error: trust domain ${identity.trustDomain} is not ${ours}`,
    );
  }
  return { ok: true, identity };
}

function refusedByOpenssl(socket: TLSSocket): PeerRefused | undefined {
  if (socket.authorized) return undefined;
  const why = refusalText(socket.authorizationError);
  return { ok: false, reason: "tls-failed", message: `peer certificate refused: ${why}` };
}

const UNNAMED_RULE = "a rule that Node has no name for, most often because an issuer is no CA";

/**
 * Node types this as Error; it is OpenSSL's code as a string, e.g. "CERT_HAS_EXPIRED". Node has no
 * name for some, such as "invalid CA certificate", and says UNSPECIFIED.
 */
function refusalText(refusal: unknown): string {
  if (refusal === "UNSPECIFIED") return UNNAMED_RULE;
  if (refusal instanceof Error) return refusal.message;
  return typeof refusal === "string" && refusal !== "" ? refusal : "no verified certificate";
}

function leafOf(socket: TLSSocket): Uint8Array | undefined {
  return socket.getPeerX509Certificate()?.raw;
}

function mismatch(message: string): PeerRefused {
  return { ok: false, reason: "identity-mismatch", message };
}
