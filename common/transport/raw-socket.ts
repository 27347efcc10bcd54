/**
 * A private part of Node, `tlsSocket._parent`: whose handshake failed. A destroyed TLSSocket no
 * longer knows its peer.
 */
import type net from "node:net";
import type { TLSSocket } from "node:tls";

/** The Socket that a server-side TLSSocket was made over. */
export function rawSocketOf(socket: TLSSocket): net.Socket | undefined {
  return (socket as unknown as { _parent?: net.Socket })._parent;
}
