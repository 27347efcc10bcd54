/** Opens an HBONE tunnel from inside a pod: certificate, TCP, TLS, HTTP/2. */
import { type ConnectionFailure, failure } from "#common/transport/failure.ts";
import {
  HboneTunnel,
  secureTunnelSocket,
  type TunnelTarget,
} from "#common/transport/hbone-tunnel.ts";
import type { PodContext } from "./pod-context.ts";

export async function openTunnel(
  context: PodContext,
  target: TunnelTarget,
  onClosed: (tunnel: HboneTunnel) => void,
): Promise<HboneTunnel | ConnectionFailure> {
  const { certificates, dialer, netns, peers, trustDomains } = context;
  const stored = await certificates.get(target.sourceIdentity);
  if ("ok" in stored) return stored;
  const socket = await dialer.connectSocket({ netns, address: target.address });
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
  return tunnel;
}

/** Istio's users know this line: the usual cause of a silent port 15008 is a NetworkPolicy. */
function explainTimeout(result: ConnectionFailure): ConnectionFailure {
  if (result.reason !== "connect-timeout") return result;
  const guess = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008";
  const message = `${guess}: ${result.message}`;
  return failure("hbone-timeout", message, { retriable: result.retriable });
}
