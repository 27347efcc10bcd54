/** A TCP connection as one end of a relay. */

import type { End, EndEvents } from "#common/transport/end.ts";
import type { FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";
import { TCP_WRITE_QUEUE_BYTES } from "../limits.ts";
import type { TcpHandle } from "./node-internals.ts";
import type { RawTcp, RawTcpFactory, RawTcpOwner } from "./raw-tcp.ts";
import { ReadBuffers, type SlabPool } from "./read-buffers.ts";
import { WriteQueue } from "./write-queue.ts";

const NOTHING = new Uint8Array(0);

/** What all TCP ends of one worker share. */
export interface TcpContext {
  readonly batcher: FlushBatcher;
  readonly slabs: SlabPool;
  readonly syscalls: Pick<Syscalls, "keepAlive" | "resetOnClose" | "shutdownWrites">;
  readonly rawTcp: RawTcpFactory;
}

export class TcpEnd implements End, RawTcpOwner {
  bytesRead = 0;
  readonly #context: TcpContext;
  readonly #buffers: ReadBuffers;
  readonly #queue = new WriteQueue();
  readonly #tcp: RawTcp;
  #events: EndEvents | undefined;
  #paused = true;
  /** Whoever writes was told to wait. */
  #full = false;
  #readEnded = false;
  /** No more writes; what is queued still leaves, then the peer is told. */
  #writesEnd: "open" | "wanted" | "told" = "open";
  #closed = false;
  /** An accepted connection has it from its listener. */
  #wantsKeepalive = false;
  #error: Error | undefined;

  private constructor(make: (owner: RawTcpOwner) => RawTcp, context: TcpContext) {
    this.#context = context;
    this.#buffers = new ReadBuffers(context.slabs, () => this.resume());
    this.#tcp = make(this);
  }

  /** An accepted connection. Nothing is read before `start`. */
  static accepted(handle: TcpHandle, context: TcpContext): TcpEnd {
    return new TcpEnd((owner) => context.rawTcp.accepted(handle, owner), context);
  }

  /** A connection yet to be made with `connect`. Nothing is read before `start`. */
  static connecting(fd: number, context: TcpContext): TcpEnd {
    const end = new TcpEnd((owner) => context.rawTcp.connecting(fd, owner), context);
    end.#wantsKeepalive = true;
    return end;
  }

  /** `done` gets the error if there is one; a failed end is to be closed with `reset`. */
  connect(ip: string, port: number, done: (error: Error | undefined) => void): void {
    this.#tcp.connect(ip, port, done);
  }

  start(events: EndEvents): void {
    this.#events = events;
    if (this.#closed) setImmediate(() => this.#tellClosed());
    else this.resume();
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (this.#closed || this.#writesEnd !== "open") {
      release?.();
      return false;
    }
    if (this.#queue.empty) this.#context.batcher.add(this);
    this.#queue.push(chunk, release);
    this.#full ||= this.#queue.bytes >= TCP_WRITE_QUEUE_BYTES;
    return !this.#full;
  }

  /** Writes what is queued, unless a write is under way: then its end does. */
  flush(): void {
    const queue = this.#queue;
    if (this.#closed || queue.busy || queue.empty) return;
    const outcome = this.#tcp.write(queue.take());
    if (outcome === "written") this.onWritten();
    else if (outcome !== "pending") this.#close(outcome);
  }

  shutdown(): void {
    if (this.#closed || this.#writesEnd !== "open") return;
    this.#writesEnd = "wanted";
    this.flush();
    this.#endWrites();
  }

  resume(): void {
    if (!this.#paused || this.#closed || this.#readEnded || this.#events === undefined) return;
    this.#paused = false;
    this.#tcp.startReading();
  }

  /**
   * A connection that is not being read is not polled, so that its reset goes unnoticed for as long
   * as the other side takes no more. A write of nothing sends nothing, but brings the error.
   */
  probe(): void {
    if (this.#wantsKeepalive) this.#context.syscalls.keepAlive(this.#tcp.descriptor);
    this.#wantsKeepalive = false;
    const unread = this.#paused || this.#readEnded;
    if (!unread || this.#closed || this.#writesEnd !== "open" || !this.#queue.empty) return;
    this.#queue.push(NOTHING, undefined);
    this.flush();
  }

  reset(): void {
    if (this.#closed) return;
    const { descriptor } = this.#tcp;
    if (descriptor >= 0) this.#context.syscalls.resetOnClose(descriptor);
    this.#close(new Error("connection closed"));
  }

  nextBuffer(): Uint8Array {
    return this.#buffers.next();
  }

  onRead(byteCount: number, buffer: Uint8Array): boolean {
    this.bytesRead += byteCount;
    const { chunk, release } = this.#buffers.accept(byteCount, buffer);
    const more = this.#events?.onData(chunk, release) ?? false;
    if (more && this.#buffers.hasRoom()) return true;
    this.#paused = true;
    return false;
  }

  onReadEnd(): void {
    this.#readEnded = true;
    this.#events?.onEnd();
    this.#closeIfOver();
  }

  onWritten(): void {
    this.#queue.written();
    if (this.#closed) return;
    this.flush();
    this.#endWrites();
    if (!this.#full || this.#queue.bytes > TCP_WRITE_QUEUE_BYTES / 2) return;
    this.#full = false;
    this.#events?.onDrain();
  }

  onBroken(error: Error): void {
    this.#close(error);
  }

  /**
   * Tells the peer that no more follows, once all has left. Where the peer has said the same,
   * closing tells it as well and is a system call less.
   */
  #endWrites(): void {
    if (this.#closed || this.#writesEnd !== "wanted" || !this.#queue.empty) return;
    this.#writesEnd = "told";
    if (!this.#readEnded) this.#context.syscalls.shutdownWrites(this.#tcp.descriptor);
    this.#closeIfOver();
  }

  #closeIfOver(): void {
    if (this.#readEnded && this.#writesEnd === "told") this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#tcp.close();
    this.#queue.clear();
    this.#buffers.close();
    this.#tellClosed();
  }

  #tellClosed(): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onClosed(this.#error);
  }
}
