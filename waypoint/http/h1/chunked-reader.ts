/**
 * The framing of a chunked body (RFC 9112 7.1), read strictly: hexadecimal sizes without signs or
 * spaces, lines ended by CR LF, extensions skipped and bounded.
 */
import { CHUNK_EXTENSION_BYTES, CHUNK_EXTENSIONS_PER_MESSAGE_BYTES } from "../limits.ts";

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const SEMICOLON = 59;
const DELETE = 127;
/** 2^48 bytes in one chunk: more than any body, and exact as a number. */
const SIZE_DIGITS = 12;

/** Chunks up to this size are moved together: copying them costs less than handing them over. */
const GATHERED_BYTES = 4_096;

type State = "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "last";

export class ChunkedReader {
  /** Of the chunk whose size has been read. */
  remaining = 0;
  /** Where `gather` stopped reading. */
  at = 0;
  /** What is wrong; nothing can be read any more. */
  fault: string | undefined;
  #state: State = "size";
  #digits = 0;
  #extensionBytes = 0;
  #extensionBytesOfMessage = 0;

  /** The next bytes are a chunk's, `remaining` of them. */
  get inData(): boolean {
    return this.#state === "data";
  }

  /** The last chunk's line has been read; the trailer section follows. */
  get last(): boolean {
    return this.#state === "last";
  }

  /**
   * Takes the data at `from`, and that of small chunks behind it, moved together within `bytes`:
   * a body of single bytes costs no more than its bytes. Returns where the data ends; `at` is
   * where reading goes on.
   */
  gather(bytes: Uint8Array, from: number): number {
    let end = from + this.#take(bytes, from);
    let at = end;
    while (at < bytes.length) {
      at = this.skipFraming(bytes, at);
      if (this.#state !== "data" || at === bytes.length || this.remaining > GATHERED_BYTES) break;
      const length = this.#take(bytes, at);
      bytes.copyWithin(end, at, at + length);
      end += length;
      at += length;
    }
    this.at = at;
    return end;
  }

  #take(bytes: Uint8Array, at: number): number {
    const length = Math.min(this.remaining, bytes.length - at);
    this.remaining -= length;
    if (this.remaining === 0) this.#state = "data-cr";
    return length;
  }

  /** Reads framing from `at`; returns where it stopped: at data, behind the last chunk, the end. */
  skipFraming(bytes: Uint8Array, at: number): number {
    let i = at;
    while (i < bytes.length && this.#state !== "data" && this.#state !== "last") {
      if (!this.#step(bytes[i] ?? 0)) return i;
      i++;
    }
    return i;
  }

  #step(byte: number): boolean {
    switch (this.#state) {
      case "size":
        return this.#size(byte);
      case "extension":
        return this.#extension(byte);
      case "size-lf":
        if (byte !== LF) return this.#fail("a chunk's size is not ended by CR LF");
        this.#digits = 0;
        this.#extensionBytes = 0;
        this.#state = this.remaining === 0 ? "last" : "data";
        return true;
      case "data-cr":
        if (byte !== CR) return this.#fail("a chunk is longer than its size");
        this.#state = "data-lf";
        return true;
      default:
        if (byte !== LF) return this.#fail("a chunk is not ended by CR LF");
        this.#state = "size";
        return true;
    }
  }

  #size(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > SIZE_DIGITS) return this.#fail("a chunk's size is too large");
      this.remaining = this.remaining * 16 + digit;
      return true;
    }
    if (this.#digits === 0) return this.#fail("a chunk has no size");
    if (byte === CR) this.#state = "size-lf";
    else if (byte === SEMICOLON) this.#state = "extension";
    else return this.#fail("a chunk's size is no hexadecimal number");
    return true;
  }

  #extension(byte: number): boolean {
    if (byte === CR) {
      this.#state = "size-lf";
      return true;
    }
    const visible = (byte >= SPACE && byte !== DELETE) || byte === TAB;
    if (!visible) return this.#fail("a chunk extension has a control character");
    const tooMany =
      ++this.#extensionBytes > CHUNK_EXTENSION_BYTES ||
      ++this.#extensionBytesOfMessage > CHUNK_EXTENSIONS_PER_MESSAGE_BYTES;
    return tooMany ? this.#fail("chunk extensions are too long") : true;
  }

  #fail(what: string): false {
    this.fault = what;
    return false;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
