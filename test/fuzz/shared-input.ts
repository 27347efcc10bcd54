/**
 * The input that is being tried, in memory of two threads: where a thread hangs it can tell nobody
 * which input it was.
 */

const HEADER_BYTES = 8;
const COUNT = 0;
const LENGTH = 1;
const RESTING = -1;

export class SharedInput {
  readonly buffer: SharedArrayBuffer;
  readonly #header: Int32Array;
  readonly #bytes: Uint8Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#header = new Int32Array(buffer, 0, HEADER_BYTES / 4);
    this.#bytes = new Uint8Array(buffer, HEADER_BYTES);
  }

  static create(maxBytes: number): SharedInput {
    const shared = new SharedInput(new SharedArrayBuffer(HEADER_BYTES + maxBytes));
    shared.rest();
    return shared;
  }

  static over(buffer: SharedArrayBuffer): SharedInput {
    return new SharedInput(buffer);
  }

  /** Before an input is tried. */
  write(input: Uint8Array): void {
    const length = Math.min(input.length, this.#bytes.length);
    this.#bytes.set(input.subarray(0, length));
    Atomics.store(this.#header, LENGTH, length);
    Atomics.add(this.#header, COUNT, 1);
  }

  /** No input is being tried. */
  rest(): void {
    Atomics.store(this.#header, LENGTH, RESTING);
  }

  /** Which input it is, counted from the start; undefined between jobs. */
  get number(): number | undefined {
    if (Atomics.load(this.#header, LENGTH) === RESTING) return undefined;
    return Atomics.load(this.#header, COUNT);
  }

  read(): Buffer {
    return Buffer.from(this.#bytes.slice(0, Math.max(0, Atomics.load(this.#header, LENGTH))));
  }
}
