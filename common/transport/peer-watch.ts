/**
 * The mutual TLS connections that stand in a data worker, watched for what happens to their
 * certificates: one that was revoked ends them at once; one that has expired ends them as soon as
 * their streams are over, and takes no new streams.
 */
import type { TLSSocket } from "node:tls";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import { type PeerChain, peerChainOf, Revocations } from "#common/tls/revocation.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { type ConnectionFailure, failure } from "./failure.ts";

/** What is kept of a peer while its connection stands. */
export interface WatchedPeer {
  /** Empty where revocation lists are not in use. */
  readonly chain: PeerChain;
  /** When the peer's own certificate ends; milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface PeerEvents {
  /** The certificate is at its end: nothing new may begin on this connection. */
  readonly onExpired: () => void;
  /** The certificate was revoked: the connection is to be cut, with this error. */
  readonly onRevoked: (error: MeshError) => void;
}

/** The words of Istio's ztunnel, which people search logs for. */
const REVOKED = "connection closed: peer certificate revoked by CRL";
export const PEER_REVOKED = "PEER_CERTIFICATE_REVOKED";

export class PeerWatch {
  readonly #standing = new Map<WatchedPeer, PeerEvents>();
  /** Undefined where there is no CRL_PATH: chains are not kept then. */
  #revocations: Revocations | undefined;

  /** New lists are in force: for new peers, and for those that are connected. */
  setLists(lists: readonly RevocationList[]): void {
    this.#revocations = new Revocations(lists);
    for (const [peer, { onRevoked }] of this.#standing) {
      if (this.#revocations.hasRevoked(peer.chain)) onRevoked(new MeshError(PEER_REVOKED, REVOKED));
    }
  }

  /** Looks at a peer whose chain OpenSSL has verified against the roots of `own`. */
  examine(
    socket: TLSSocket,
    own: Pick<WorkloadCertificate, "rootsPem">,
  ): WatchedPeer | ConnectionFailure {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return failure("tls-failed", "the peer presented no certificate");
    const notAfter = leaf.validToDate.getTime();
    if (this.#revocations === undefined) return { chain: [], notAfter };
    try {
      const chain = peerChainOf(socket, own.rootsPem);
      if (this.#revocations.hasRevoked(chain)) return failure("certificate-revoked", REVOKED);
      return { chain, notAfter };
    } catch (error) {
      return failure("tls-failed", `peer certificate refused: ${describeError(error)}`);
    }
  }

  /** Watches over a connection until the returned function is called. */
  watch(peer: WatchedPeer, events: PeerEvents): () => void {
    this.#standing.set(peer, events);
    return () => void this.#standing.delete(peer);
  }

  /** Tells the connections whose peers' certificates have ended by `now`. */
  sweep(now: number): void {
    for (const [peer, { onExpired }] of this.#standing) {
      if (peer.notAfter <= now) onExpired();
    }
  }
}
