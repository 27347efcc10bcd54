/** `RawTcp` over a `net.Socket`: slower, but with little that a new Node could change. */
import type net from "node:net";
import { adoptDescriptor, adoptHandle, descriptorOf, type TcpHandle } from "./node-internals.ts";
import type { RawTcp, RawTcpOwner } from "./raw-tcp.ts";

export class SocketTcp implements RawTcp {
  readonly #socket: net.Socket;
  #closed = false;

  private constructor(socket: net.Socket, owner: RawTcpOwner) {
    this.#socket = socket;
    socket.on("error", (error) => {
      if (!this.#closed) owner.onBroken(error);
    });
    socket.on("end", () => {
      if (!this.#closed) owner.onReadEnd();
    });
    this.#onWritten = () => {
      // What fails is told of by 'error'.
      if (!this.#closed && !socket.destroyed) owner.onWritten();
    };
  }

  readonly #onWritten: () => void;

  static accepted(handle: TcpHandle, owner: RawTcpOwner): SocketTcp {
    return new SocketTcp(adoptHandle(handle, owner), owner);
  }

  static connecting(fd: number, owner: RawTcpOwner): SocketTcp {
    const socket = adoptDescriptor(fd, owner);
    socket.pause();
    return new SocketTcp(socket, owner);
  }

  get descriptor(): number {
    return this.#closed ? -1 : descriptorOf(this.#socket);
  }

  connect(ip: string, port: number, done: (error: Error | undefined) => void): void {
    const socket = this.#socket;
    const finish = (error?: Error): void => {
      socket.off("connect", finish).off("error", finish);
      if (!this.#closed) done(error);
    };
    socket.on("connect", finish).on("error", finish);
    socket.connect({ host: ip, port });
  }

  startReading(): void {
    this.#socket.resume();
  }

  stopReading(): void {
    this.#socket.pause();
  }

  write(chunks: Uint8Array[]): "pending" {
    const socket = this.#socket;
    socket.cork();
    chunks.forEach((chunk, i) => {
      if (i < chunks.length - 1) socket.write(chunk);
      else socket.write(chunk, this.#onWritten);
    });
    socket.uncork();
    return "pending";
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}
