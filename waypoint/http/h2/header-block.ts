/** Puts a header block together out of HEADERS and CONTINUATION (RFC 9113 4.3, 6.2, 6.10). */
import {
  ConnectionFault,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FRAME_SIZE_ERROR,
  PADDED,
  PROTOCOL_ERROR,
  WITH_PRIORITY,
} from "./frames.ts";
import { BLOCK_BYTES_PER_HEADER_BYTE, CONTINUATIONS_PER_BLOCK } from "./limits.ts";

const PRIORITY_BYTES = 5;

export interface BlockSink {
  /** All of a block, valid during the call only. */
  onBlock(stream: number, block: Buffer, endStream: boolean): void;
}

/** Its methods throw ConnectionFault. */
export class HeaderBlockReader {
  readonly #sink: BlockSink;
  readonly #maxBytes: number;
  /** Of the block that is not complete; 0 where there is none. */
  #stream = 0;
  #endStream = false;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #continuations = 0;

  /** `headerBytes`: what a block may be when decoded. */
  constructor(sink: BlockSink, headerBytes: number) {
    this.#sink = sink;
    this.#maxBytes = headerBytes * BLOCK_BYTES_PER_HEADER_BYTE;
  }

  /** Nothing but CONTINUATION may come. */
  get inBlock(): boolean {
    return this.#stream !== 0;
  }

  onHeaders(flags: number, stream: number, payload: Buffer): void {
    if (stream === 0) throw new ConnectionFault(PROTOCOL_ERROR, "HEADERS without a stream");
    const padded = (flags & PADDED) !== 0;
    const weighed = (flags & WITH_PRIORITY) !== 0;
    const from = (padded ? 1 : 0) + (weighed ? PRIORITY_BYTES : 0);
    if (payload.length < from) throw new ConnectionFault(FRAME_SIZE_ERROR, "HEADERS cut short");
    const to = payload.length - (padded ? (payload[0] ?? 0) : 0);
    if (to < from) throw new ConnectionFault(PROTOCOL_ERROR, "more padding than frame");
    if (weighed) checkDependency(payload, padded ? 1 : 0, stream);
    const block = payload.subarray(from, to);
    const endStream = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) !== 0) {
      this.#sink.onBlock(stream, block, endStream);
      return;
    }
    this.#stream = stream;
    this.#endStream = endStream;
    this.#add(block);
  }

  onContinuation(flags: number, stream: number, payload: Buffer): void {
    if (this.#stream === 0 || stream !== this.#stream) {
      throw new ConnectionFault(PROTOCOL_ERROR, "CONTINUATION of nothing");
    }
    const over = ++this.#continuations > CONTINUATIONS_PER_BLOCK;
    if (over) throw new ConnectionFault(ENHANCE_YOUR_CALM, "a header block in too many pieces");
    this.#add(payload);
    if ((flags & END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#pieces);
    this.#stream = 0;
    this.#pieces = [];
    this.#bytes = 0;
    this.#continuations = 0;
    this.#sink.onBlock(stream, block, this.#endStream);
  }

  /** Keeps a copy. */
  #add(piece: Buffer): void {
    this.#bytes += piece.length;
    const over = this.#bytes > this.#maxBytes;
    if (over) throw new ConnectionFault(ENHANCE_YOUR_CALM, "a header block that is too long");
    this.#pieces.push(Buffer.from(piece));
  }
}

/** RFC 9113 5.3.1. The highest bit says something else. */
export function checkDependency(payload: Buffer, at: number, stream: number): void {
  if ((payload.readUInt32BE(at) & 0x7fff_ffff) !== stream) return;
  throw new ConnectionFault(PROTOCOL_ERROR, "a stream that depends on itself");
}
