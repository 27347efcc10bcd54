/**
 * An end whose reading can be stopped by a third, besides the stream over it: node:http reads on
 * whatever it is told by its stream.
 */
import type { End, EndEvents } from "#common/transport/end.ts";

export class GatedEnd implements End {
  readonly #end: End;
  #held = false;
  /** It stands, and is to go on once the gate is open. */
  #stopped = false;

  constructor(end: End) {
    this.#end = end;
  }

  get bytesRead(): number {
    return this.#end.bytesRead;
  }

  /** Nothing more is read until `letGo`, but for what has been read already. */
  hold(): void {
    this.#held = true;
  }

  letGo(): void {
    this.#held = false;
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#end.resume();
  }

  start(events: EndEvents): void {
    this.#end.start({
      onData: (chunk, release) => {
        const more = events.onData(chunk, release);
        this.#stopped ||= more && this.#held;
        return more && !this.#held;
      },
      onEnd: () => events.onEnd(),
      onDrain: () => events.onDrain(),
      onClosed: (error) => events.onClosed(error),
    });
  }

  write(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    return this.#end.write(chunk, release);
  }

  shutdown(): void {
    this.#end.shutdown();
  }

  resume(): void {
    if (this.#held) this.#stopped = true;
    else this.#end.resume();
  }

  probe(): void {
    this.#end.probe();
  }

  reset(): void {
    this.#end.reset();
  }
}
