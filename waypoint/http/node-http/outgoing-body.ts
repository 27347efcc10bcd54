/**
 * The body of a request on its way to a library, which reads it as a stream. It counts pieces, not
 * bytes: of a stream of bytes that has ended already undici says the length by itself.
 */
import { Readable } from "node:stream";
import { BODY_PIECES_WAITING } from "./limits.ts";

export class OutgoingBody extends Readable {
  readonly #onDrain: () => void;
  #full = false;

  constructor(onDrain: () => void) {
    super({ autoDestroy: true, objectMode: true, highWaterMark: BODY_PIECES_WAITING });
    this.#onDrain = onDrain;
    this.on("error", IGNORE_TOLD_BY_RESPONSE);
  }

  /** False when the library has not taken what it was given: `onDrain` follows. */
  give(chunk: Uint8Array): boolean {
    if (this.destroyed || chunk.length === 0) return true;
    this.#full = !this.push(chunk);
    return !this.#full;
  }

  finish(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {
    if (!this.#full) return;
    this.#full = false;
    this.#onDrain();
  }
}

const IGNORE_TOLD_BY_RESPONSE = (): void => undefined;
