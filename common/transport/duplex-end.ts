/** A socket of Node's, plain or TLS, as one end of a relay. */
import net from "node:net";
import type { Duplex } from "node:stream";
import type { End, EndEvents } from "./end.ts";
import type { Flushable, FlushBatcher } from "./flush-batcher.ts";

export class DuplexEnd implements End, Flushable {
  bytesRead = 0;
  readonly #duplex: Duplex;
  readonly #batcher: FlushBatcher;
  #error: Error | undefined;
  #corked = false;
  #ended = false;
  #told = false;

  /** The duplex has to allow half-open connections. Nothing is read before `start`. */
  constructor(duplex: Duplex, batcher: FlushBatcher) {
    this.#duplex = duplex;
    this.#batcher = batcher;
    duplex.on("error", (error: Error) => {
      this.#error ??= error;
    });
  }

  start(events: EndEvents): void {
    const duplex = this.#duplex;
    duplex.on("close", () => this.#closed(events));
    if (duplex.destroyed) {
      setImmediate(() => this.#closed(events));
      return;
    }
    duplex.on("end", () => {
      this.#ended = true;
      events.onEnd();
    });
    duplex.on("drain", () => events.onDrain());
    duplex.on("data", (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!events.onData(chunk, undefined)) duplex.pause();
    });
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    if (this.#duplex.destroyed || this.#duplex.writableEnded) {
      release?.();
      return false;
    }
    if (!this.#corked) {
      this.#corked = true;
      this.#duplex.cork();
      this.#batcher.add(this);
    }
    return this.#duplex.write(chunk, release);
  }

  flush(): void {
    this.#corked = false;
    this.#duplex.uncork();
  }

  shutdown(): void {
    this.#duplex.end();
  }

  resume(): void {
    this.#duplex.resume();
  }

  /** A peer that leaves without a word is found by TCP's keepalive, which its maker has set. */
  probe(): void {
    return;
  }

  reset(): void {
    const duplex = this.#duplex;
    if (duplex.destroyed) return;
    this.#error ??= new Error("connection closed");
    if (duplex instanceof net.Socket) duplex.resetAndDestroy();
    else duplex.destroy();
  }

  #closed(events: EndEvents): void {
    if (this.#told) return;
    this.#told = true;
    const complete = this.#ended && this.#duplex.writableFinished;
    events.onClosed(complete ? undefined : (this.#error ?? new Error("connection lost")));
  }
}
