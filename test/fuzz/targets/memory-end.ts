/** An end of a connection without a connection: what is fed comes in, what is written is kept. */
import type { End, EndEvents } from "#common/transport/end.ts";

export class MemoryEnd implements End {
  bytesRead = 0;
  readonly written: Buffer[] = [];
  #events: EndEvents | undefined;

  start(events: EndEvents): void {
    this.#events = events;
  }

  /** Delivers a copy: readers may keep what they get. */
  feed(bytes: Uint8Array): void {
    this.#events?.onData(Buffer.from(bytes), undefined);
  }

  feedEnd(): void {
    this.#events?.onEnd();
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    this.written.push(Buffer.from(chunk));
    release?.();
    return true;
  }

  shutdown(): void {
    return;
  }

  resume(): void {
    return;
  }

  probe(): void {
    return;
  }

  reset(): void {
    const events = this.#events;
    this.#events = undefined;
    events?.onClosed(new Error("closed"));
  }
}
