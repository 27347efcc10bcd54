/** The parts of a header block, written one behind the other (RFC 7541 5, 6). */
import { encodeHuffman } from "./huffman.ts";
import {
  COPIED_CHARACTERS,
  ENCODED_BLOCK_BYTES,
  HUFFMAN_CHARACTERS,
  KEPT_BLOCK_BYTES,
} from "./limits.ts";

/** What a field takes beyond its strings: a size or an index and two lengths. */
const FIELD_NUMBERS_BYTES = 32;

const HUFFMAN = 0x80;

/** HTTP has one byte per character: others would become whatever their low bits are. */
const BEYOND_ONE_BYTE = /[^\0-\xff]/;
const ALL_BEYOND_ONE_BYTE = /[^\0-\xff]/g;
const QUESTION_MARK = 0x3f;

export class BlockWriter {
  #bytes = Buffer.allocUnsafeSlow(ENCODED_BLOCK_BYTES);
  #at = 0;

  begin(): void {
    this.#at = 0;
    if (this.#bytes.length > KEPT_BLOCK_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(ENCODED_BLOCK_BYTES);
    }
  }

  /** For strings of so many characters together, and the numbers of their field. */
  reserve(characters: number): void {
    const needed = this.#at + characters + FIELD_NUMBERS_BYTES;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(needed * 2);
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }

  /** `pattern`: the first bits; `prefix`: the bits of that byte for the number, all set. */
  integer(pattern: number, prefix: number, value: number): void {
    const bytes = this.#bytes;
    if (value < prefix) {
      bytes[this.#at++] = pattern | value;
      return;
    }
    bytes[this.#at++] = pattern | prefix;
    let rest = value - prefix;
    for (; rest >= 0x80; rest >>>= 7) bytes[this.#at++] = (rest & 0x7f) | 0x80;
    bytes[this.#at++] = rest;
  }

  string(text: string): void {
    const bytes = this.#bytes;
    if (text.length <= HUFFMAN_CHARACTERS) {
      const start = this.#at + 1;
      const end = encodeHuffman(text, bytes, start);
      if (end >= 0) {
        bytes[this.#at] = HUFFMAN | (end - start);
        this.#at = end;
        return;
      }
    }
    this.integer(0, 0x7f, text.length);
    if (text.length <= COPIED_CHARACTERS) {
      this.#copy(text);
      return;
    }
    const sent = BEYOND_ONE_BYTE.test(text) ? text.replace(ALL_BEYOND_ONE_BYTE, "?") : text;
    this.#at += bytes.write(sent, this.#at, "latin1");
  }

  #copy(text: string): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      bytes[at++] = code <= 0xff ? code : QUESTION_MARK;
    }
    this.#at = at;
  }

  /** What was written since `begin`, as memory of its own. */
  finish(): Buffer {
    const block = Buffer.allocUnsafe(this.#at);
    this.#bytes.copy(block, 0, 0, this.#at);
    return block;
  }
}
