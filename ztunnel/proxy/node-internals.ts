/**
 * The private parts of Node that the data path leans on, all in this file, each with its reason:
 *
 * - `server._handle.onconnection`: an accepted handle can be given its read buffer (`onread`) when
 *   its Socket is made; the public 'connection' event comes after a Socket without one exists.
 * - `new net.Socket({handle})` and `{manualStart}`: adopt a handle, and read nothing until told to.
 * - `socket._handle.fd`: the descriptor, for SO_ORIGINAL_DST.
 * - `tlsSocket._parent`: whose handshake failed; a destroyed TLSSocket no longer knows its peer.
 *
 * `node-internals.test.ts` fails on a Node that changed any of them.
 */
import net from "node:net";
import type { TLSSocket } from "node:tls";

/** An accepted connection that no Socket owns yet. */
export interface TcpHandle {
  readonly fd: number;
  close(callback?: () => void): void;
}

export interface AdoptOptions {
  /** Chooses the buffer of the next read; called before every read. */
  readonly nextBuffer: () => Uint8Array;
  /**
   * Gets each read's bytes, a view into the chosen buffer; false stops reading until `resume()`.
   */
  readonly onData: (byteCount: number, buffer: Uint8Array) => boolean;
  /** Bytes the socket queues before `write` says false. */
  readonly writeHighWaterMark: number;
}

interface PrivateServer {
  _handle: { onconnection: (status: number, handle: TcpHandle | undefined) => void } | null;
}

/**
 * Calls `onHandle` for each accepted connection in place of the server's own 'connection' event.
 */
export function acceptHandles(
  server: net.Server,
  onHandle: (handle: TcpHandle) => void,
  onError: (status: number) => void,
): void {
  const handle = (server as unknown as PrivateServer)._handle;
  if (handle === null) throw new Error("acceptHandles needs a listening server");
  handle.onconnection = (status, accepted) => {
    if (status !== 0 || accepted === undefined) onError(status);
    else onHandle(accepted);
  };
}

/** A Socket over an accepted handle; it reads nothing until `resume()`. */
export function adoptHandle(handle: TcpHandle, options: AdoptOptions): net.Socket {
  return makeSocket({ handle }, options);
}

/** A Socket over an unconnected descriptor, to be given to `connect()`; the Socket owns it then. */
export function adoptDescriptor(fd: number, options?: AdoptOptions): net.Socket {
  return makeSocket({ fd }, options);
}

/** The descriptor of an open socket; -1 once it is closed. */
export function descriptorOf(socket: net.Socket): number {
  const { _handle } = socket as unknown as { _handle: { fd: number } | null };
  return _handle?.fd ?? -1;
}

/** The Socket that a server-side TLSSocket was made over. */
export function rawSocketOf(socket: TLSSocket): net.Socket | undefined {
  return (socket as unknown as { _parent?: net.Socket })._parent;
}

function makeSocket(base: object, options: AdoptOptions | undefined): net.Socket {
  // Without read options it is a tunnel's: a peer that ends it has ended all its streams.
  const reading = options && {
    allowHalfOpen: true,
    onread: { buffer: options.nextBuffer, callback: options.onData },
    writableHighWaterMark: options.writeHighWaterMark,
  };
  const socket = new net.Socket({
    ...base,
    ...reading,
    manualStart: true,
  } as net.SocketConstructorOpts);
  return socket;
}
