/** Opens HBONE tunnels: certificate, TCP, TLS, HTTP/2; and opens streams on them. */
import type net from "node:net";
import type { TrustDomains } from "#common/model/identity.ts";
import type { SocketAddress } from "#common/model/ip.ts";
import type { CertificateStore } from "./certificate-store.ts";
import { type ConnectionFailure, failure } from "./failure.ts";
import type { HbonePool } from "./hbone-pool.ts";
import {
  HboneTunnel,
  type OpenStream,
  secureTunnelSocket,
  type TunnelContext,
  type TunnelTarget,
} from "./hbone-tunnel.ts";
import { TUNNEL_ATTEMPTS } from "./limits.ts";
import type { PeerWatch } from "./peer-watch.ts";

export interface TunnelOpenerContext extends TunnelContext {
  readonly certificates: CertificateStore;
  /** Everybody who is connected by mutual TLS. */
  readonly peers: PeerWatch;
  readonly trustDomains: TrustDomains;
}

/** TCP, with a time limit of its own. */
export type ConnectTcp = (address: SocketAddress) => Promise<net.Socket | ConnectionFailure>;

export async function openTunnel(
  context: TunnelOpenerContext,
  connect: ConnectTcp,
  target: TunnelTarget,
  onClosed: (tunnel: HboneTunnel) => void,
): Promise<HboneTunnel | ConnectionFailure> {
  const { certificates, peers, trustDomains } = context;
  const stored = await certificates.get(target.sourceIdentity);
  if ("ok" in stored) return stored;
  const socket = await connect(target.address);
  if ("ok" in socket) return explainTimeout(socket);
  const secure = await secureTunnelSocket(socket, stored.context, target, trustDomains);
  if ("ok" in secure) return secure;
  const watched = peers.examine(secure, stored.certificate);
  if ("ok" in watched) {
    secure.destroy();
    return watched;
  }
  const notAfter = Math.min(watched.notAfter, stored.certificate.notAfter);
  const peer = { ...watched, notAfter };
  const tunnel = new HboneTunnel(target, { socket: secure, notAfter }, context, (closed) => {
    unwatch();
    onClosed(closed);
  });
  const unwatch = peers.watch(peer, {
    onExpired: () => tunnel.retire(),
    onRevoked: (error) => tunnel.destroy(error),
  });
  // A certificate that came during the handshake is the one for all streams that begin now.
  const current = certificates.peek(target.sourceIdentity);
  if (current !== undefined && current !== stored) tunnel.retire();
  return tunnel;
}

/** CONNECT on a pooled tunnel; what is lost before an answer is tried again on fresh tunnels. */
export async function connectOnPool(
  pool: HbonePool,
  target: TunnelTarget,
  headers: readonly string[],
): Promise<OpenStream | ConnectionFailure> {
  let openedSince = 0;
  for (let attempt = 1; ; attempt++) {
    const startedAt = performance.now();
    const { outcome, tunnel } = await pool.connect(target, headers, openedSince);
    if (!("ok" in outcome)) return outcome;
    const lost = outcome.reason === "peer-reset" && tunnel !== undefined;
    if (!lost || attempt >= TUNNEL_ATTEMPTS) return outcome;
    tunnel.retire();
    openedSince = startedAt;
  }
}

/** Istio's users know this line: the usual cause of a silent port 15008 is a NetworkPolicy. */
function explainTimeout(result: ConnectionFailure): ConnectionFailure {
  if (result.reason !== "connect-timeout") return result;
  const guess = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008";
  const message = `${guess}: ${result.message}`;
  return failure("hbone-timeout", message, { retriable: result.retriable });
}
