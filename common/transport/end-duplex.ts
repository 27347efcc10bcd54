/** An end of a connection as a stream of Node's, for code that is made for those. */
import { Duplex } from "node:stream";
import type { End } from "./end.ts";

type Done = (error?: Error | null) => void;

export class EndDuplex extends Duplex {
  readonly #end: End;
  /** Of a write that waits for room. */
  #waiting: Done | undefined;
  #closed = false;

  /** Takes the end over. */
  constructor(end: End) {
    super({ allowHalfOpen: true });
    this.#end = end;
    end.start({
      onData: (chunk, release) => this.#take(chunk, release),
      onEnd: () => void this.push(null),
      onDrain: () => this.#written(),
      onClosed: (error) => {
        this.#closed = true;
        // Whether both directions are over or not: nothing more comes or goes.
        if (error === undefined && this.readableEnded && this.writableFinished) return;
        this.#over(error);
      },
    });
  }

  override _read(): void {
    this.#end.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void {
    this.#settle(this.#end.write(chunk, undefined), done);
  }

  override _writev(chunks: readonly { chunk: Uint8Array }[], done: Done): void {
    let room = true;
    for (const { chunk } of chunks) room = this.#end.write(chunk, undefined);
    this.#settle(room, done);
  }

  override _final(done: Done): void {
    this.#end.shutdown();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const ended = this.readableEnded && this.writableFinished;
    if (!this.#closed && !ended) this.#end.reset();
    this.#written();
    done(error);
  }

  /** What is lent is copied: who reads a stream does not say when it is done with a chunk. */
  #take(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (release === undefined) return this.push(chunk);
    const copy = Buffer.from(chunk);
    release();
    return this.push(copy);
  }

  #settle(room: boolean, done: Done): void {
    if (room || this.#closed) done();
    else this.#waiting = done;
  }

  #written(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }

  #over(error: Error | undefined): void {
    this.#written();
    if (error !== undefined) this.destroy(error);
    else if (this.readableEnded || !this.readable) this.destroy();
    // What has been pushed is still read; then `end` ends it.
    else this.once("end", () => this.destroy());
  }
}
