/** A TCP socket as one end of a relay. */
import type net from "node:net";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";
import { TCP_WRITE_QUEUE_BYTES } from "../limits.ts";
import type { End, EndEvents } from "./end.ts";
import type { FlushBatcher } from "./flush-batcher.ts";
import {
  type AdoptOptions,
  adoptDescriptor,
  adoptHandle,
  descriptorOf,
  type TcpHandle,
} from "./node-internals.ts";
import { ReadBuffers, type SlabPool } from "./read-buffers.ts";

const NOTHING = new Uint8Array(0);

/** What all TCP ends of one worker share. */
export interface TcpContext {
  readonly batcher: FlushBatcher;
  readonly slabs: SlabPool;
  readonly syscalls: Pick<Syscalls, "resetOnClose">;
}

export class TcpEnd implements End {
  readonly socket: net.Socket;
  bytesRead = 0;
  readonly #context: TcpContext;
  readonly #buffers: ReadBuffers;
  #events: EndEvents | undefined;
  #error: Error | undefined;

  private constructor(makeSocket: (options: AdoptOptions) => net.Socket, context: TcpContext) {
    this.#context = context;
    this.#buffers = new ReadBuffers(context.slabs, () => this.resume());
    this.socket = makeSocket({
      nextBuffer: () => this.#buffers.next(),
      onData: (byteCount, buffer) => this.#onRead(byteCount, buffer),
      writeHighWaterMark: TCP_WRITE_QUEUE_BYTES,
    });
    this.socket.on("error", (error) => {
      this.#error ??= error;
    });
    this.socket.on("close", () => this.#onClose());
  }

  /** An accepted connection. Nothing is read before `start`. */
  static accepted(handle: TcpHandle, context: TcpContext): TcpEnd {
    return new TcpEnd((options) => adoptHandle(handle, options), context);
  }

  /** A connection yet to be made: call `socket.connect()`. Nothing is read before `start`. */
  static connecting(fd: number, context: TcpContext): TcpEnd {
    const end = new TcpEnd((options) => adoptDescriptor(fd, options), context);
    end.socket.pause();
    return end;
  }

  get closed(): boolean {
    return this.socket.closed;
  }

  start(events: EndEvents): void {
    this.#events = events;
    if (this.socket.destroyed) {
      setImmediate(() => this.#onClose());
      return;
    }
    this.socket.on("end", () => events.onEnd());
    this.socket.on("drain", () => events.onDrain());
    this.socket.resume();
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    this.#context.batcher.cork(this.socket);
    return this.socket.write(chunk, release);
  }

  shutdown(): void {
    this.socket.end();
  }

  resume(): void {
    if (!this.socket.destroyed) this.socket.resume();
  }

  /**
   * Not `resetAndDestroy()`: while a shutdown is under way it fails and never closes the
   * descriptor.
   */
  /**
   * A socket that is not being read is not polled, so that its reset goes unnoticed for as long as
   * the other side takes no more. A write of nothing sends nothing, but brings the socket's error.
   */
  probe(): void {
    const { socket } = this;
    const unread = socket.isPaused() || socket.readableEnded;
    if (unread && socket.writableLength === 0 && socket.writable) socket.write(NOTHING);
  }

  reset(): void {
    if (this.socket.destroyed) return;
    const fd = descriptorOf(this.socket);
    if (fd >= 0) this.#context.syscalls.resetOnClose(fd);
    this.socket.destroy();
  }

  #onRead(byteCount: number, buffer: Uint8Array): boolean {
    this.bytesRead += byteCount;
    const { chunk, release } = this.#buffers.accept(byteCount, buffer);
    const more = this.#events?.onData(chunk, release) ?? false;
    if (more && this.#buffers.hasRoom()) return true;
    // The handle stops by itself on false; pausing keeps the stream's own state in step.
    this.socket.pause();
    return false;
  }

  #onClose(): void {
    this.#buffers.close();
    const events = this.#events;
    this.#events = undefined;
    const complete = this.socket.readableEnded && this.socket.writableFinished;
    events?.onClosed(this.#error ?? (complete ? undefined : new Error("connection closed")));
  }
}
