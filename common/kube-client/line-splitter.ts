/** Cuts a stream of bytes into lines: each byte is looked at once, and copied only at seams. */
import { MeshError } from "#common/runtime/errors.ts";

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #maxBytes: number;
  /** The beginning of a line that is not whole. */
  #parts: Buffer[] = [];
  #partBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of a line that is not whole. */
  get pending(): number {
    return this.#partBytes;
  }

  /** The lines that this chunk completes, without empty ones. Throws LINE_TOO_LONG at the bound. */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#check(end - start);
      const line = this.#take(chunk, start, end);
      start = end + 1;
      if (line !== "" && line !== "\r") yield line;
    }
    if (start === chunk.length) return;
    this.#check(chunk.length - start);
    this.#parts.push(start === 0 ? chunk : chunk.subarray(start));
    this.#partBytes += chunk.length - start;
  }

  #take(chunk: Buffer, start: number, end: number): string {
    if (this.#partBytes === 0) return chunk.toString("utf8", start, end);
    const whole = Buffer.concat([...this.#parts, chunk.subarray(start, end)]);
    this.#parts = [];
    this.#partBytes = 0;
    return whole.toString("utf8");
  }

  #check(more: number): void {
    if (this.#partBytes + more <= this.#maxBytes) return;
    const message = `a line is longer than ${this.#maxBytes} bytes`;
    throw new MeshError("LINE_TOO_LONG", message, { hint: "make the object smaller" });
  }
}
