/** Gathers a head, or a trailer section, that comes in pieces. */

const FIRST_BYTES = 1_024;
const EMPTY = Buffer.alloc(0);
const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;

/** The end of a head: what `Buffer.indexOf` looks for. */
export const END_OF_HEAD = Buffer.from("\r\n\r\n");

export class HeadBuffer {
  #bytes = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What has been gathered; valid until the next `append`. */
  get view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  append(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** Where the head ends, in what was there and `piece`; -1 where it does not yet. */
  endWith(piece: Buffer): number {
    const overlap = Math.max(0, this.#length - 3);
    this.append(piece);
    const found = this.view.indexOf(END_OF_HEAD, overlap);
    return found < 0 ? -1 : found + END_OF_HEAD.length;
  }

  /** Lets go of the memory: connections are many and mostly idle. */
  clear(): void {
    this.#bytes = EMPTY;
    this.#length = 0;
  }
}

/**
 * Whether bytes that a head begins with can become one: who speaks TLS or ends lines with a bare
 * LF is answered at once, not when the head is overdue.
 */
export function canBecomeHead(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte >= SPACE || byte === TAB) continue;
    if (byte === LF && i > 0 && bytes[i - 1] === CR) continue;
    if (byte === CR && (i + 1 === bytes.length || bytes[i + 1] === LF)) continue;
    return false;
  }
  return true;
}

/** What an end delivers, as memory that stays: where it has to be given back, a copy. */
export function ownBytes(chunk: Uint8Array, release: (() => void) | undefined): Buffer {
  if (release !== undefined) {
    const copy = Buffer.from(chunk);
    release();
    return copy;
  }
  if (Buffer.isBuffer(chunk)) return chunk;
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
