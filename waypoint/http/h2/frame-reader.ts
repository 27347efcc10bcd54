/**
 * Takes frames out of bytes as they come. DATA is passed on in the pieces in which it came, never
 * copied; of all other frames the payload is whole.
 */
import {
  ConnectionFault,
  DATA,
  FRAME_HEADER_BYTES,
  FRAME_SIZE_ERROR,
  MAX_FRAME_BYTES,
  PADDED,
  PREFACE,
  PROTOCOL_ERROR,
} from "./frames.ts";

export interface FrameSink {
  /** Nothing more is wanted. */
  readonly deaf: boolean;
  /** `length`: of the payload with its padding, which is what flow control counts. */
  onDataBegin(stream: number, flags: number, length: number): void;
  onDataPiece(piece: Buffer): void;
  onDataEnd(): void;
  /** Of any type but DATA. `payload` is valid during the call only. */
  onFrame(type: number, flags: number, stream: number, payload: Buffer): void;
}

const IN_PREFACE = 0;
const IN_HEADER = 1;
const IN_PAYLOAD = 2;
const AT_PAD_LENGTH = 3;
const IN_DATA = 4;
const IN_PADDING = 5;

const NOTHING: Buffer = Buffer.alloc(0);

export class FrameReader {
  readonly #sink: FrameSink;
  #state: number;
  /** Of a frame's header that came in pieces, or of the preface: how much has come. */
  #have = 0;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** What is missing of the payload, or of the data in it. */
  #left = 0;
  #padding = 0;
  /** A payload that came in pieces. */
  #payload = NOTHING;

  constructor(sink: FrameSink, expectsPreface: boolean) {
    this.#sink = sink;
    this.#state = expectsPreface ? IN_PREFACE : IN_HEADER;
  }

  /** Whether a frame other than DATA has come in part. */
  get inFrame(): boolean {
    return this.#state === IN_PAYLOAD;
  }

  /** Throws ConnectionFault. */
  push(chunk: Buffer): void {
    const { length } = chunk;
    for (let at = 0; at < length && !this.#sink.deaf; ) {
      if (this.#state === IN_HEADER) at = this.#readHeader(chunk, at);
      else if (this.#state === IN_PAYLOAD) at = this.#readPayload(chunk, at);
      else if (this.#state === IN_DATA) at = this.#readData(chunk, at);
      else if (this.#state === IN_PADDING) at = this.#skipPadding(length, at);
      else if (this.#state === AT_PAD_LENGTH) at = this.#readPadLength(chunk, at);
      else at = this.#readPreface(chunk, at);
    }
  }

  #readPreface(chunk: Buffer, at: number): number {
    const most = Math.min(chunk.length, at + PREFACE.length - this.#have);
    for (let i = at; i < most; i++) {
      if (chunk[i] === PREFACE[this.#have++]) continue;
      throw new ConnectionFault(PROTOCOL_ERROR, "what came does not begin as HTTP/2 does");
    }
    if (this.#have === PREFACE.length) this.#expectHeader();
    return most;
  }

  #expectHeader(): void {
    this.#state = IN_HEADER;
    this.#have = 0;
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#have === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
      this.#begin(chunk, at);
      return at + FRAME_HEADER_BYTES;
    }
    const most = Math.min(chunk.length, at + FRAME_HEADER_BYTES - this.#have);
    for (let i = at; i < most; i++) this.#header[this.#have++] = chunk[i] ?? 0;
    if (this.#have === FRAME_HEADER_BYTES) this.#begin(this.#header, 0);
    return most;
  }

  /** RFC 9113 4.1, 4.2. */
  #begin(b: Uint8Array, at: number): void {
    const length = ((b[at] ?? 0) << 16) | ((b[at + 1] ?? 0) << 8) | (b[at + 2] ?? 0);
    if (length > MAX_FRAME_BYTES) throw new ConnectionFault(FRAME_SIZE_ERROR, "a frame too long");
    this.#type = b[at + 3] ?? 0;
    this.#flags = b[at + 4] ?? 0;
    const high = ((b[at + 5] ?? 0) & 0x7f) << 24;
    this.#stream = high | ((b[at + 6] ?? 0) << 16) | ((b[at + 7] ?? 0) << 8) | (b[at + 8] ?? 0);
    this.#left = length;
    this.#have = 0;
    if (this.#type === DATA) this.#beginData(length);
    else if (length === 0) this.#deliver(NOTHING);
    else this.#state = IN_PAYLOAD;
  }

  #beginData(length: number): void {
    this.#sink.onDataBegin(this.#stream, this.#flags, length);
    this.#padding = 0;
    if ((this.#flags & PADDED) === 0) {
      if (length === 0) this.#endData();
      else this.#state = IN_DATA;
      return;
    }
    if (length === 0) throw new ConnectionFault(FRAME_SIZE_ERROR, "padding without a length");
    this.#state = AT_PAD_LENGTH;
  }

  /** RFC 9113 6.1. */
  #readPadLength(chunk: Buffer, at: number): number {
    this.#padding = chunk[at] ?? 0;
    this.#left -= 1 + this.#padding;
    if (this.#left < 0) throw new ConnectionFault(PROTOCOL_ERROR, "more padding than frame");
    if (this.#left > 0) this.#state = IN_DATA;
    else this.#endPieces();
    return at + 1;
  }

  #readData(chunk: Buffer, at: number): number {
    const to = Math.min(chunk.length, at + this.#left);
    this.#left -= to - at;
    this.#sink.onDataPiece(at === 0 && to === chunk.length ? chunk : chunk.subarray(at, to));
    if (this.#left === 0) this.#endPieces();
    return to;
  }

  #endPieces(): void {
    if (this.#padding > 0) this.#state = IN_PADDING;
    else this.#endData();
  }

  #skipPadding(length: number, at: number): number {
    const skipped = Math.min(length - at, this.#padding);
    this.#padding -= skipped;
    if (this.#padding === 0) this.#endData();
    return at + skipped;
  }

  #endData(): void {
    this.#expectHeader();
    this.#sink.onDataEnd();
  }

  #readPayload(chunk: Buffer, at: number): number {
    const here = chunk.length - at;
    if (this.#have === 0 && here >= this.#left) {
      const to = at + this.#left;
      this.#deliver(chunk.subarray(at, to));
      return to;
    }
    if (this.#have === 0) this.#payload = Buffer.allocUnsafe(this.#left);
    const to = Math.min(chunk.length, at + this.#left - this.#have);
    chunk.copy(this.#payload, this.#have, at, to);
    this.#have += to - at;
    if (this.#have === this.#left) {
      const payload = this.#payload;
      this.#payload = NOTHING;
      this.#deliver(payload);
    }
    return to;
  }

  #deliver(payload: Buffer): void {
    this.#expectHeader();
    this.#sink.onFrame(this.#type, this.#flags, this.#stream, payload);
  }
}
