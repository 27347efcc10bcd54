/**
 * One TCP connection with nothing on top: no queue, no stream, no events of its own. `TcpEnd` is
 * made on it. There are two kinds: over Node's own handle (`HandleTcp`), which costs a fraction of
 * a `net.Socket`, and over a `net.Socket` (`SocketTcp`), for a Node whose handles are not known.
 */
import { HandleTcp, type TcpHandle, tcpBinding } from "./node-internals.ts";
import { SocketTcp } from "./socket-tcp.ts";

/** What the user of a `RawTcp` is told. After `close` it is told nothing more. */
export interface RawTcpOwner {
  /** Chooses the buffer of the next read. */
  nextBuffer(): Uint8Array;
  /** Gets a read's bytes, in the buffer that was chosen for it; false stops reading. */
  onRead(byteCount: number, buffer: Uint8Array): boolean;
  /** The peer will send no more. */
  onReadEnd(): void;
  /** The pending write has left. */
  onWritten(): void;
  /** The connection is broken: nothing can be done with it but close it. */
  onBroken(error: Error): void;
}

export interface RawTcp {
  /** -1 once it is closed. */
  readonly descriptor: number;
  /** To be called at most once, first; `done` is told of success or failure. */
  connect(ip: string, port: number, done: (error: Error | undefined) => void): void;
  /** Nothing is read before. */
  startReading(): void;
  stopReading(): void;
  /**
   * Writes the chunks. "pending": `onWritten` or `onBroken` follows; until then the chunks stay as
   * they are and nothing else is written.
   */
  write(chunks: Uint8Array[]): "written" | "pending" | Error;
  /** Frees the descriptor at once: no memory is read from or written to after. */
  close(): void;
}

/** Makes connections of one kind. */
export interface RawTcpFactory {
  accepted(handle: TcpHandle, owner: RawTcpOwner): RawTcp;
  /** Over an unconnected descriptor, which it owns then; throws where it is none. */
  connecting(fd: number, owner: RawTcpOwner): RawTcp;
}

/** Works with every Node. */
export const socketTcp: RawTcpFactory = {
  accepted: (handle, owner) => SocketTcp.accepted(handle, owner),
  connecting: (fd, owner) => SocketTcp.connecting(fd, owner),
};

/** The fastest kind that this Node has. */
export function bestRawTcp(): RawTcpFactory {
  const binding = tcpBinding();
  if (binding === undefined) return socketTcp;
  return {
    accepted: (handle, owner) => new HandleTcp(binding, handle, owner),
    connecting: (fd, owner) => HandleTcp.connecting(binding, fd, owner),
  };
}
