/** Bytes of a body that wait, in order. What waits keeps no more memory than a few times itself. */
import { JOINED_BLOCK_BYTES, JOINED_PIECE_BYTES, KEPT_MEMORY_FACTOR } from "./limits.ts";

const NO_BLOCK = Buffer.alloc(0);
const NO_CHUNKS: Uint8Array[] = [];

/** Places of chunks that are let go only when there are more. */
const SLACK = 64;

export class ByteQueue {
  length = 0;
  #chunks = NO_CHUNKS;
  #first = 0;
  /** Where short pieces are joined; what is in it comes after all chunks. */
  #block = NO_BLOCK;
  #from = 0;
  #to = 0;

  append(piece: Uint8Array): void {
    this.length += piece.length;
    if (piece.length < JOINED_PIECE_BYTES) {
      this.#join(piece);
      return;
    }
    this.#seal();
    const kept = piece.buffer.byteLength <= piece.length * KEPT_MEMORY_FACTOR;
    this.#push(kept ? piece : Buffer.from(piece));
  }

  /** The next bytes, at least one and at most `most`; not to be asked of an empty queue. */
  take(most: number): Uint8Array {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined) return this.#takeJoined(most);
    if (chunk.length > most) {
      this.#chunks[this.#first] = chunk.subarray(most);
      this.length -= most;
      return chunk.subarray(0, most);
    }
    // A queue that is filled again before it is empty must not hold on to what has left it.
    this.#chunks[this.#first++] = NO_BLOCK;
    const { length } = this.#chunks;
    if (this.#first === length || (this.#first > SLACK && this.#first * 2 > length)) {
      this.#chunks = this.#first === length ? NO_CHUNKS : this.#chunks.slice(this.#first);
      this.#first = 0;
    }
    this.length -= chunk.length;
    return chunk;
  }

  clear(): void {
    this.#chunks = NO_CHUNKS;
    this.#first = 0;
    this.#block = NO_BLOCK;
    this.#from = 0;
    this.#to = 0;
    this.length = 0;
  }

  #join(piece: Uint8Array): void {
    if (this.#to + piece.length > this.#block.length) {
      this.#seal();
      this.#block = Buffer.allocUnsafeSlow(JOINED_BLOCK_BYTES);
    }
    this.#block.set(piece, this.#to);
    this.#to += piece.length;
  }

  #push(chunk: Uint8Array): void {
    if (this.#chunks === NO_CHUNKS) this.#chunks = [];
    this.#chunks.push(chunk);
  }

  #seal(): void {
    if (this.#to > this.#from) this.#push(this.#block.subarray(this.#from, this.#to));
    this.#block = NO_BLOCK;
    this.#from = 0;
    this.#to = 0;
  }

  #takeJoined(most: number): Uint8Array {
    const to = Math.min(this.#to, this.#from + most);
    const bytes = this.#block.subarray(this.#from, to);
    this.#from = to;
    this.length -= bytes.length;
    if (this.length === 0) this.clear();
    return bytes;
  }
}

/** Of a stream of which nothing waits; nothing is ever put into it. */
export const EMPTY_QUEUE = new ByteQueue();
