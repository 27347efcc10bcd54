/**
 * The frames of WebSocket as a client sends and reads them (RFC 6455 section 5). Bytes in, frames
 * out; whoever owns the socket decides how fast.
 */
import { MeshError } from "#common/runtime/errors.ts";

/** RFC 6455 section 5.2. */
export const opcodes = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

export interface Frame {
  /** The last one of its message. */
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

const FINAL = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
/** Lengths from here on stand in 2 further bytes, and from the second on in 8. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const KEY_BYTES = 4;
/** A control frame carries no more. Source: RFC 6455 section 5.5. */
const CONTROL_PAYLOAD_MAX_BYTES = 125;

/** One whole message in one frame, masked with a key of 4 bytes, as clients have to. */
export function encodeFrame(opcode: number, payload: Uint8Array, key: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length < LENGTH_16 ? 0 : length < 65_536 ? 2 : 8;
  const start = 2 + extra + KEY_BYTES;
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = FINAL | opcode;
  frame[1] = MASKED | (extra === 0 ? length : extra === 2 ? LENGTH_16 : LENGTH_64);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(key, 2 + extra);
  for (let i = 0; i < length; i++) {
    frame[start + i] = (payload[i] ?? 0) ^ (key[i % KEY_BYTES] ?? 0);
  }
  return frame;
}

/** Reads a server's frames. Holds one frame that is not whole yet, of at most `maxBytes`. */
export class FrameReader {
  readonly #maxBytes: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that are whole with these bytes. Throws a MeshError for what is no frame. */
  *read(chunk: Buffer): Generator<Frame> {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (;;) {
      const frame = this.#next();
      if (frame === undefined) return;
      yield frame;
    }
  }

  /** Something came of a frame that never became whole. */
  get partial(): boolean {
    return this.#held.length > 0;
  }

  #next(): Frame | undefined {
    const [first, second] = this.#held;
    if (first === undefined || second === undefined) return undefined;
    if ((first & RESERVED) !== 0) throw broken("a reserved bit is set");
    if ((second & MASKED) !== 0) throw broken("a server's frame is masked");
    const size = this.#size(second);
    if (size === undefined) return undefined;
    const opcode = first & 0x0f;
    const final = (first & FINAL) !== 0;
    if (opcode >= opcodes.close && (!final || size.length > CONTROL_PAYLOAD_MAX_BYTES)) {
      throw broken("a control frame is too long or cut up");
    }
    if (size.length > this.#maxBytes) throw broken(`a frame has ${size.length} bytes`);
    const end = size.start + size.length;
    if (this.#held.length < end) return undefined;
    const payload = this.#held.subarray(size.start, end);
    this.#held = this.#held.subarray(end);
    return { final, opcode, payload };
  }

  #size(second: number): { start: number; length: number } | undefined {
    const short = second & 0x7f;
    if (short < LENGTH_16) return { start: 2, length: short };
    const start = short === LENGTH_16 ? 4 : 10;
    if (this.#held.length < start) return undefined;
    const length =
      short === LENGTH_16 ? this.#held.readUInt16BE(2) : Number(this.#held.readBigUInt64BE(2));
    return { start, length };
  }
}

function broken(what: string): MeshError {
  return new MeshError("WEBSOCKET_BROKEN", `the server's WebSocket cannot be read: ${what}`);
}
