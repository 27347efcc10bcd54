/** Header blocks to names and values (RFC 7541). One decoder serves one connection. */
import { DynamicTable, ENTRY_OVERHEAD_BYTES } from "./dynamic-table.ts";
import { decodeHuffman, longestDecoded } from "./huffman.ts";
import { DECODED_STRING_BYTES, INTEGER_BYTES, TABLE_BYTES } from "./limits.ts";
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from "./static-table.ts";

/**
 * COMPRESSION_ERROR (RFC 9113 4.3): the tables of both sides are not the same any more, and the
 * connection has to end.
 */
export class HpackError extends Error {}

export interface HeaderBlock {
  /** Name, value, name, value: one character per byte, as they were sent. */
  readonly flat: string[];
  /** Beyond the limits: `flat` is incomplete, but the next block can be decoded. */
  readonly tooLarge: boolean;
}

export interface DecoderLimits {
  /** What our SETTINGS allow the peer's table: no less than it begins with, `TABLE_BYTES`. */
  readonly tableBytes: number;
  /** Of one block: name, value and 32 for each field (RFC 9113 6.5.2). */
  readonly headerBytes: number;
  readonly headerCount: number;
}

/** The first bits of a field's representation (RFC 7541 6). */
const INDEXED = 0x80;
const ADDED_TO_TABLE = 0x40;
const SIZE_UPDATE = 0x20;

/** Of a string's first byte: it is in Huffman's code (RFC 7541 5.2). */
const HUFFMAN = 0x80;

const MAX_INTEGER = 0xffff_ffff;

const NOTHING: Buffer = Buffer.alloc(0);

/** Where strings are decoded to; each is taken out before the next. */
const DECODED = Buffer.allocUnsafeSlow(DECODED_STRING_BYTES);

export class HpackDecoder {
  readonly #limits: DecoderLimits;
  readonly #table = new DynamicTable(TABLE_BYTES);
  /** Longer strings go neither into a list nor into the table. */
  readonly #maxStringBytes: number;
  #block = NOTHING;
  #at = 0;
  #flat: string[] = [];
  #bytesLeft = 0;
  #tooLarge = false;
  /** Of the string that was read last: how long it is, whether or not it was of use. */
  #stringBytes = 0;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
    this.#maxStringBytes = Math.max(limits.headerBytes, limits.tableBytes);
  }

  /** One whole block. After an HpackError there is no going on. */
  decode(block: Uint8Array): HeaderBlock {
    this.#block = Buffer.isBuffer(block)
      ? block
      : Buffer.from(block.buffer, block.byteOffset, block.byteLength);
    this.#at = 0;
    this.#bytesLeft = this.#limits.headerBytes;
    this.#tooLarge = false;
    const flat: string[] = [];
    this.#flat = flat;
    while (this.#at < block.length && ((block[this.#at] ?? 0) & 0xe0) === SIZE_UPDATE) {
      this.#readSizeUpdate();
    }
    while (this.#at < block.length) this.#readField();
    this.#block = NOTHING;
    return { flat, tooLarge: this.#tooLarge };
  }

  #readField(): void {
    const first = this.#block[this.#at] ?? 0;
    if (first >= INDEXED) this.#readIndexed();
    else if (first >= ADDED_TO_TABLE) this.#readLiteral(0x3f, true);
    // Without indexing, or never indexed: neither goes into the table.
    else if (first < SIZE_UPDATE) this.#readLiteral(0x0f, false);
    else throw new HpackError("a size update behind a field (RFC 7541 4.2)");
  }

  #readSizeUpdate(): void {
    const bytes = this.#readInteger(0x1f);
    if (bytes > this.#limits.tableBytes) throw new HpackError("a table larger than allowed");
    this.#table.resize(bytes);
  }

  #readIndexed(): void {
    const index = this.#readInteger(0x7f);
    if (index > STATIC_ENTRIES) {
      const entry = this.#table.at(index - STATIC_ENTRIES);
      if (entry === undefined) throw new HpackError("an index beyond the table");
      this.#append(entry.name, entry.value, entry.bytes);
      return;
    }
    if (index === 0) throw new HpackError("index 0 (RFC 7541 6.1)");
    const name = STATIC_NAMES[index] ?? "";
    const value = STATIC_VALUES[index] ?? "";
    this.#append(name, value, name.length + value.length + ENTRY_OVERHEAD_BYTES);
  }

  #readLiteral(prefix: number, added: boolean): void {
    const index = this.#readInteger(prefix);
    let name: string;
    let bytes = ENTRY_OVERHEAD_BYTES;
    if (index === 0) {
      name = this.#readString(added);
      bytes += this.#stringBytes;
    } else {
      name = this.#nameAt(index);
      bytes += name.length;
    }
    const value = this.#readString(added);
    bytes += this.#stringBytes;
    this.#append(name, value, bytes);
    if (!added) return;
    this.#table.makeRoom(bytes);
    // One that is larger than the table empties it (RFC 7541 4.4).
    if (bytes <= this.#table.maxBytes) this.#table.add(name, value);
  }

  #nameAt(index: number): string {
    if (index <= STATIC_ENTRIES) return STATIC_NAMES[index] ?? "";
    const entry = this.#table.at(index - STATIC_ENTRIES);
    if (entry === undefined) throw new HpackError("a name's index beyond the table");
    return entry.name;
  }

  #append(name: string, value: string, bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft < 0 || this.#flat.length >= this.#limits.headerCount * 2) {
      this.#tooLarge = true;
    } else {
      this.#flat.push(name, value);
    }
  }

  /** `prefix`: the bits of the first byte that belong to it, all set (RFC 7541 5.1). */
  #readInteger(prefix: number): number {
    const block = this.#block;
    if (this.#at >= block.length) throw new HpackError("a block is cut off");
    let value = (block[this.#at++] ?? 0) & prefix;
    if (value < prefix) return value;
    let scale = 1;
    for (let i = 0; i < INTEGER_BYTES; i++) {
      if (this.#at >= block.length) throw new HpackError("a block is cut off in a number");
      const byte = block[this.#at++] ?? 0;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80 && value <= MAX_INTEGER) return value;
    }
    throw new HpackError("a number beyond 32 bits");
  }

  /** Empty where nobody will ask for it: `stringBytes` counts it all the same. */
  #readString(forTable: boolean): string {
    const block = this.#block;
    const huffman = this.#at < block.length && (block[this.#at] ?? 0) >= HUFFMAN;
    const bytes = this.#readInteger(0x7f);
    const start = this.#at;
    const end = start + bytes;
    if (end > block.length) throw new HpackError("a block is cut off in a string");
    this.#at = end;
    const wanted = forTable || !this.#tooLarge;
    if (huffman) return this.#decodeString(start, end, wanted);
    this.#stringBytes = bytes;
    return wanted && bytes <= this.#maxStringBytes ? block.toString("latin1", start, end) : "";
  }

  #decodeString(start: number, end: number, wanted: boolean): string {
    const longest = Math.min(longestDecoded(end - start), this.#maxStringBytes);
    const target = wanted && longest > DECODED.length ? Buffer.allocUnsafeSlow(longest) : DECODED;
    const bytes = decodeHuffman(this.#block, start, end, target);
    if (bytes < 0) throw new HpackError("a string is not in Huffman's code (RFC 7541 5.2)");
    this.#stringBytes = bytes;
    return wanted && bytes <= target.length ? target.toString("latin1", 0, bytes) : "";
  }
}
