/**
 * DNS messages out of a TCP stream: each has its length in two bytes before it (RFC 1035 §4.2.2).
 */

const LENGTH_BYTES = 2;

export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole message; undefined until more has come. One may have no bytes at all. */
  next(): Buffer | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined;
    const end = LENGTH_BYTES + this.#length();
    if (this.#bytes < end) return undefined;
    const all = this.#join();
    this.#chunks = all.length > end ? [all.subarray(end)] : [];
    this.#bytes -= end;
    return all.subarray(LENGTH_BYTES, end);
  }

  /** Chunks are joined only when a message is whole: bytes that drip in one by one stay cheap. */
  #length(): number {
    const [first, second] = this.#chunks;
    if (first !== undefined && first.length >= LENGTH_BYTES) return first.readUInt16BE(0);
    if (first?.length === 1 && second !== undefined && second.length > 0) {
      return ((first[0] ?? 0) << 8) | (second[0] ?? 0);
    }
    return this.#join().readUInt16BE(0);
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

/** A message with its length before it. */
export function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, LENGTH_BYTES);
  return framed;
}
