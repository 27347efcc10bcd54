/**
 * The private parts of Node that transport leans on, each with its reason:
 *
 * - `tlsSocket._parent`: the connection under TLS, for its peer (a destroyed TLSSocket no longer
 *   knows it), to look whether it still stands, and to reset it.
 * - `socket.resetAndClosing`: that `destroy` resets, as `resetAndDestroy` has it. It is the
 *   TLSSocket that has to be destroyed, and destroys what is under it; resetting that first crashes
 *   Node where a write of TLS is under way.
 *
 * `socket-end.test.ts` fails on a Node that changed any of them.
 */
import type net from "node:net";
import type { TLSSocket } from "node:tls";

/** The Socket that a TLSSocket was made over: undefined where it made its own connection. */
export function rawSocketOf(socket: TLSSocket): net.Socket | undefined {
  return (socket as unknown as { _parent?: net.Socket })._parent;
}

/** Has `destroy` reset the connection. No half-close may be under way: libuv refuses it then. */
export function resetOnDestroy(socket: net.Socket): void {
  (socket as unknown as { resetAndClosing: boolean }).resetAndClosing = true;
}
