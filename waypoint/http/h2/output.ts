/**
 * What one connection sends. Frames of one callback of Node's are put together and leave as few
 * pieces of memory; the end below gathers those of a whole round into one system call.
 */
import type { End } from "#common/transport/end.ts";
import { JOINED_CHUNK_BYTES } from "../limits.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  GOAWAY,
  HEADERS,
  MAX_FRAME_BYTES,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "./frames.ts";
import { SPARE_BUFFERS, UNREAD_ANSWER_BYTES } from "./limits.ts";

const STAGING_BYTES = MAX_FRAME_BYTES + FRAME_HEADER_BYTES;
const PING_BYTES = 8;
const NOTHING: Buffer = Buffer.alloc(0);

/** What is told when all that was written has been handed over. */
export interface FlushListener {
  onFlushed(): void;
}

const spare: Buffer[] = [];
let waiting: Output[] = [];

function flushAll(): void {
  while (waiting.length > 0) {
    const outputs = waiting;
    waiting = [];
    for (const output of outputs) output.flush();
  }
}

export class Output {
  readonly #end: End;
  readonly #listener: FlushListener;
  /** Where frames are put together; nobody's while there are none. */
  #staging = NOTHING;
  #used = 0;
  #scheduled = false;
  #full = false;
  #closed = false;
  /** Bytes other than DATA that were written since the end was full. */
  #unread = 0;
  /** Where the flags are of a DATA frame that is the last frame so far, and of which stream. */
  #dataFlagsAt = -1;
  #dataStream = 0;

  constructor(end: End, listener: FlushListener) {
    this.#end = end;
    this.#listener = listener;
  }

  /** DATA has to wait. */
  get full(): boolean {
    return this.#full;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The peer lets pile up what it asked for. */
  get overwhelmed(): boolean {
    return this.#unread > UNREAD_ANSWER_BYTES;
  }

  drained(): void {
    this.#full = false;
    this.#unread = 0;
  }

  /** Nothing leaves any more. */
  close(): void {
    this.#closed = true;
  }

  /** Calls `onFlushed` when this callback of Node's is over. */
  flushLater(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (waiting.push(this) === 1) process.nextTick(flushAll);
  }

  flush(): void {
    this.#scheduled = false;
    this.#emit();
    if (this.#staging !== NOTHING) {
      if (spare.length < SPARE_BUFFERS) spare.push(this.#staging);
      this.#staging = NOTHING;
    }
    this.#listener.onFlushed();
  }

  preface(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#staging.set(bytes, at);
  }

  /** RFC 9113 6.5: pairs of identifier and value. */
  settings(pairs: readonly (readonly [id: number, value: number])[]): void {
    let at = this.#frame(SETTINGS, 0, 0, pairs.length * 6);
    for (const [id, value] of pairs) {
      this.#staging.writeUInt16BE(id, at);
      this.#staging.writeUInt32BE(value, at + 2);
      at += 6;
    }
  }

  acknowledgeSettings(): void {
    this.#frame(SETTINGS, ACK, 0, 0);
  }

  ping(flags: number, opaque: Uint8Array): void {
    const at = this.#frame(PING, flags, 0, PING_BYTES);
    this.#staging.set(opaque, at);
  }

  resetStream(stream: number, code: number): void {
    const at = this.#frame(RST_STREAM, 0, stream, 4);
    this.#staging.writeUInt32BE(code, at);
  }

  windowUpdate(stream: number, bytes: number): void {
    const at = this.#frame(WINDOW_UPDATE, 0, stream, 4);
    this.#staging.writeUInt32BE(bytes, at);
  }

  /** RFC 9113 6.8. `message`: for who debugs the peer. */
  goaway(lastStream: number, code: number, message: string): void {
    const at = this.#frame(GOAWAY, 0, 0, 8 + message.length);
    this.#staging.writeUInt32BE(lastStream, at);
    this.#staging.writeUInt32BE(code, at + 4);
    this.#staging.write(message, at + 8, "latin1");
  }

  headers(stream: number, block: Uint8Array, endStream: boolean): void {
    const flags = endStream ? END_STREAM : 0;
    if (block.length <= MAX_FRAME_BYTES) {
      const at = this.#frame(HEADERS, flags | END_HEADERS, stream, block.length);
      this.#staging.set(block, at);
      return;
    }
    for (let from = 0; from < block.length; from += MAX_FRAME_BYTES) {
      const to = Math.min(block.length, from + MAX_FRAME_BYTES);
      const type = from === 0 ? HEADERS : CONTINUATION;
      const given = (from === 0 ? flags : 0) | (to === block.length ? END_HEADERS : 0);
      const at = this.#frame(type, given, stream, to - from);
      this.#staging.set(block.subarray(from, to), at);
    }
  }

  /** One DATA frame; a long chunk is not copied. */
  data(stream: number, chunk: Uint8Array): void {
    const { length } = chunk;
    if (length <= JOINED_CHUNK_BYTES) {
      const at = this.#frame(DATA, 0, stream, length);
      this.#staging.set(chunk, at);
      this.#dataFlagsAt = at - FRAME_HEADER_BYTES + 4;
      this.#dataStream = stream;
    } else {
      this.#header(DATA, 0, stream, length, this.#room(FRAME_HEADER_BYTES));
      this.#emit();
      this.#send(chunk);
    }
  }

  /** Ends a stream by its last DATA frame, where that has not left yet, else by one of no bytes. */
  endData(stream: number): void {
    const flagsAt = this.#dataFlagsAt;
    if (flagsAt >= 0 && this.#dataStream === stream) this.#staging[flagsAt] = END_STREAM;
    else this.#frame(DATA, END_STREAM, stream, 0);
  }

  /** Where the payload of a frame goes; what was staged before may have left. */
  #frame(type: number, flags: number, stream: number, length: number): number {
    const at = this.#room(FRAME_HEADER_BYTES + length);
    if (this.#full && type !== DATA) this.#unread += FRAME_HEADER_BYTES + length;
    this.#header(type, flags, stream, length, at);
    return at + FRAME_HEADER_BYTES;
  }

  #header(type: number, flags: number, stream: number, length: number, at: number): void {
    const to = this.#staging;
    to[at] = length >>> 16;
    to[at + 1] = length >>> 8;
    to[at + 2] = length;
    to[at + 3] = type;
    to[at + 4] = flags;
    to[at + 5] = stream >>> 24;
    to[at + 6] = stream >>> 16;
    to[at + 7] = stream >>> 8;
    to[at + 8] = stream;
  }

  #room(bytes: number): number {
    if (this.#used + bytes > STAGING_BYTES) this.#emit();
    if (this.#staging === NOTHING) {
      this.#staging = spare.pop() ?? Buffer.allocUnsafeSlow(STAGING_BYTES);
      this.flushLater();
    }
    const at = this.#used;
    this.#used += bytes;
    this.#dataFlagsAt = -1;
    return at;
  }

  /** Hands over what has been put together. */
  #emit(): void {
    const used = this.#used;
    if (used === 0) return;
    this.#used = 0;
    this.#dataFlagsAt = -1;
    const bytes = Buffer.allocUnsafe(used);
    this.#staging.copy(bytes, 0, 0, used);
    this.#send(bytes);
  }

  #send(bytes: Uint8Array): void {
    if (!this.#closed && !this.#end.write(bytes, undefined)) this.#full = true;
  }
}
