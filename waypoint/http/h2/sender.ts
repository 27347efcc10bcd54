/**
 * The bodies that one connection sends: within the peer's windows, and in turns of a frame where
 * several streams wait, so that none holds up another.
 */
import type { HeaderList } from "../header-list.ts";
import { ByteQueue, EMPTY_QUEUE } from "./byte-queue.ts";
import { DEFAULT_WINDOW_BYTES, MAX_FRAME_BYTES } from "./frames.ts";
import type { Output } from "./output.ts";

/** A stream, as far as sending goes. */
export interface SendingStream {
  readonly id: number;
  /** What the peer takes of it; below nothing after SETTINGS that say less than before. */
  sendWindow: number;
  /** `EMPTY_QUEUE` until something has to wait. */
  queue: ByteQueue;
  /** It stands in line. */
  isInLine: boolean;
  /** What waits is the last; `trailersToSend` follow. */
  readonly isEnding: boolean;
  readonly trailersToSend: HeaderList | undefined;
  /** Nothing more may be sent. */
  readonly isMute: boolean;
  /** Bytes that waited have been sent. */
  onSent(bytes: number): void;
}

export interface SenderOwner {
  onDataSent(): void;
  /** All of the body has been sent: what ends the stream is due. */
  finish(stream: SendingStream): void;
}

export class Sender {
  /** What the peer takes on the whole connection. */
  window = DEFAULT_WINDOW_BYTES;
  readonly #output: Output;
  readonly #owner: SenderOwner;
  #line: SendingStream[] = [];
  #first = 0;

  constructor(output: Output, owner: SenderOwner) {
    this.#output = output;
    this.#owner = owner;
  }

  /** Sends at once what may be sent; the rest waits in the stream's queue. */
  write(stream: SendingStream, chunk: Uint8Array): void {
    let at = 0;
    if (stream.queue.length === 0 && this.#first === this.#line.length) {
      while (at < chunk.length) {
        const bytes = this.#permitted(stream, chunk.length - at);
        if (bytes <= 0) break;
        const whole = at === 0 && bytes === chunk.length;
        this.#send(stream, whole ? chunk : chunk.subarray(at, at + bytes));
        at += bytes;
      }
    }
    if (at === chunk.length) return;
    if (stream.queue === EMPTY_QUEUE) stream.queue = new ByteQueue();
    stream.queue.append(at === 0 ? chunk : chunk.subarray(at));
    this.enqueue(stream);
  }

  /** Puts a stream in line that has something to send and may. */
  enqueue(stream: SendingStream): void {
    if (stream.isInLine || stream.queue.length === 0 || stream.sendWindow <= 0) return;
    stream.isInLine = true;
    this.#line.push(stream);
  }

  /** Goes on where the peer, or what is below, takes more. */
  pump(): void {
    while (this.#first < this.#line.length && this.window > 0 && !this.#output.full) {
      const stream = this.#line[this.#first++];
      if (this.#first > LINE_SLACK && this.#first * 2 > this.#line.length) this.#compact();
      if (stream !== undefined) this.#serve(stream);
    }
    if (this.#first === this.#line.length && this.#first > 0) this.#compact();
  }

  #serve(stream: SendingStream): void {
    stream.isInLine = false;
    const { queue } = stream;
    if (stream.isMute || queue.length === 0) return;
    const most = this.#permitted(stream, queue.length);
    if (most <= 0) return;
    const piece = queue.take(most);
    this.#send(stream, piece);
    if (queue.length > 0) this.enqueue(stream);
    else if (stream.isEnding) this.#owner.finish(stream);
    stream.onSent(piece.length);
  }

  #permitted(stream: SendingStream, wanted: number): number {
    if (this.#output.full) return 0;
    return Math.min(wanted, this.window, stream.sendWindow, MAX_FRAME_BYTES);
  }

  #send(stream: SendingStream, piece: Uint8Array): void {
    this.window -= piece.length;
    stream.sendWindow -= piece.length;
    this.#output.data(stream.id, piece);
    this.#owner.onDataSent();
  }

  #compact(): void {
    this.#line = this.#line.slice(this.#first);
    this.#first = 0;
  }
}

/** Places of the line that are let go only when there are more. */
const LINE_SLACK = 64;
