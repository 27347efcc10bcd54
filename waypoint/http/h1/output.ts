/**
 * What one connection sends. A head, and the few bytes around chunks, wait as text for what
 * follows them, so that a small message leaves as one piece of memory; what nothing follows leaves
 * at the end of the round.
 */
import type { End } from "#common/transport/end.ts";
import { type Flushable, FlushBatcher } from "#common/transport/flush-batcher.ts";
import type { HeaderList } from "../header-list.ts";
import { JOINED_CHUNK_BYTES } from "../limits.ts";
import { type OutgoingFraming, trailersText } from "./write-head.ts";

/** One for all connections of the thread. */
const batcher = new FlushBatcher();

export class Output implements Flushable {
  readonly #end: End;
  #text = "";
  #waiting = false;
  #framing: OutgoingFraming = "none";
  #remaining = 0;
  #full = false;

  constructor(end: End) {
    this.#end = end;
  }

  /** Whoever writes was told to wait. */
  get full(): boolean {
    return this.#full;
  }

  drained(): void {
    this.#full = false;
  }

  /** Begins a message. `length` counts where the framing is `length`. */
  begin(head: string, framing: OutgoingFraming, length: number): void {
    this.#framing = framing;
    this.#remaining = length;
    this.#add(head);
    if (framing === "none" || framing === "raw") this.flush();
    else this.#flushLater();
  }

  /** A whole head that no body follows and that is not the last: 1xx. */
  inform(head: string): void {
    this.#add(head);
    this.flush();
  }

  /** What is true of `body`: false where it is longer than was said. */
  fits(byteCount: number): boolean {
    return this.#framing !== "length" || byteCount <= this.#remaining;
  }

  /** Whether all bytes that were announced have been written. */
  get complete(): boolean {
    return this.#framing !== "length" || this.#remaining === 0;
  }

  write(chunk: Uint8Array): boolean {
    // A chunk of no bytes would end a chunked body.
    if (chunk.length === 0 || this.#framing === "none") return !this.#full;
    const chunked = this.#framing === "chunked";
    if (chunked) this.#text += `${chunk.length.toString(16)}\r\n`;
    this.#remaining -= chunk.length;
    if (this.#text === "") this.#send(chunk);
    else if (chunk.length <= JOINED_CHUNK_BYTES) this.#sendJoined(chunk, chunked);
    else {
      this.flush();
      this.#send(chunk);
      if (chunked) {
        this.#text = "\r\n";
        this.#flushLater();
      }
    }
    return !this.#full;
  }

  /** Ends the message. */
  finish(trailers: HeaderList | undefined): void {
    if (this.#framing === "chunked") {
      const fields = trailers === undefined ? "" : trailersText(trailers);
      this.#add(`0\r\n${fields}\r\n`);
    }
    this.#framing = "none";
    this.flush();
  }

  flush(): void {
    this.#waiting = false;
    if (this.#text === "") return;
    const bytes = Buffer.from(this.#text, "latin1");
    this.#text = "";
    this.#send(bytes);
  }

  #add(text: string): void {
    this.#text = this.#text === "" ? text : this.#text + text;
  }

  #flushLater(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    batcher.add(this);
  }

  #sendJoined(chunk: Uint8Array, chunked: boolean): void {
    const text = this.#text;
    this.#text = "";
    const length = text.length + chunk.length;
    const bytes = Buffer.allocUnsafe(chunked ? length + 2 : length);
    bytes.write(text, 0, "latin1");
    bytes.set(chunk, text.length);
    if (chunked) bytes.write("\r\n", length, "latin1");
    this.#send(bytes);
  }

  #send(bytes: Uint8Array): void {
    if (!this.#end.write(bytes, undefined)) this.#full = true;
  }
}
