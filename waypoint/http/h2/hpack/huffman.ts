/** Strings in the code of RFC 7541 5.2, to bytes and back. */
import {
  CODE_BITS,
  CODES,
  counts,
  EOS,
  firstCodes,
  firstSymbols,
  MAX_CODE_BITS,
  SYMBOLS,
} from "./huffman-code.ts";

/** Codes up to this length are found by one look: all letters, digits and most of a URL's. */
const QUICK_BITS = 10;
const QUICK_MASK = (1 << QUICK_BITS) - 1;

/**
 * For all that the next bits can be: the symbol that they begin with, and from the ninth bit on the
 * length of its code. 0: the code is longer.
 */
const QUICK = quickTable();

/** Padding is shorter than a byte (RFC 7541 5.2). */
const MAX_PADDING_BITS = 7;

/** Codes longer than this do not make a string shorter; and no more than this is ever pending. */
const MAX_WRITTEN_CODE_BITS = 15;

function quickTable(): Uint16Array {
  const table = new Uint16Array(1 << QUICK_BITS);
  for (let symbol = 0; symbol < EOS; symbol++) {
    const bits = CODE_BITS[symbol] ?? 0;
    if (bits > QUICK_BITS) continue;
    const free = QUICK_BITS - bits;
    const first = (CODES[symbol] ?? 0) << free;
    table.fill((bits << 8) | symbol, first, first + (1 << free));
  }
  return table;
}

/**
 * The longest that a string can be whose code has so many bytes: no symbol takes less than 5 bits.
 */
export function longestDecoded(bytes: number): number {
  return Math.floor((bytes * 8) / 5);
}

/**
 * Decodes `source` from `from` to `to` into the beginning of `target`, and returns the length; what
 * does not fit is only counted. -1: this is no string in that code.
 */
export function decodeHuffman(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
): number {
  // The last bits read that are not decoded yet, in the low end of `pending`.
  let pending = 0;
  let bits = 0;
  let at = from;
  let length = 0;
  for (;;) {
    if (bits < QUICK_BITS) {
      for (; bits <= 24 && at < to; bits += 8) pending = (pending << 8) | (source[at++] ?? 0);
      if (bits < QUICK_BITS) break;
    }
    const found = QUICK[(pending >>> (bits - QUICK_BITS)) & QUICK_MASK] ?? 0;
    if (found !== 0) {
      bits -= found >> 8;
      if (length < target.length) target[length] = found & 0xff;
    } else {
      const long = readLongCode(source, at * 8 - bits, to * 8);
      if (long < 0) return -1;
      if (length < target.length) target[length] = long & 0xff;
      const position = at * 8 - bits + (long >> 8);
      at = Math.ceil(position / 8);
      bits = at * 8 - position;
      pending = source[at - 1] ?? 0;
    }
    length++;
  }
  return decodeRest(pending, bits, target, length);
}

/** The last symbols, whose codes have fewer bits behind them than `QUICK` looks at. */
function decodeRest(
  pending: number,
  bitsLeft: number,
  target: Uint8Array,
  decoded: number,
): number {
  let bits = bitsLeft;
  let length = decoded;
  for (;;) {
    const ones = (1 << (QUICK_BITS - bits)) - 1;
    const next = ((pending << (QUICK_BITS - bits)) | ones) & QUICK_MASK;
    const found = QUICK[next] ?? 0;
    if (found === 0 || found >> 8 > bits) {
      // What is left has to be the beginning of EOS: ones.
      return bits <= MAX_PADDING_BITS && next === QUICK_MASK ? length : -1;
    }
    bits -= found >> 8;
    if (length < target.length) target[length] = found & 0xff;
    length++;
  }
}

/**
 * The symbol whose code begins at a bit, and from the ninth bit on the length of the code. -1: it
 * is EOS, or cut off.
 */
function readLongCode(source: Uint8Array, position: number, end: number): number {
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS && position + bits <= end; bits++) {
    const at = position + bits - 1;
    code = (code << 1) | (((source[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    const place = code - (firstCodes[bits] ?? 0);
    if (place < 0 || place >= (counts[bits] ?? 0)) continue;
    const symbol = SYMBOLS[(firstSymbols[bits] ?? 0) + place] ?? EOS;
    return symbol === EOS ? -1 : (bits << 8) | symbol;
  }
  return -1;
}

/**
 * Writes `text`, if that makes it shorter than it is; returns where it ends, or -1 where it does
 * not. `target` has to have room for it as it is.
 */
export function encodeHuffman(text: string, target: Uint8Array, from: number): number {
  const length = text.length;
  const limit = from + length;
  let pending = 0;
  let bits = 0;
  let at = from;
  for (let i = 0; i < length; i++) {
    const symbol = text.charCodeAt(i);
    const codeBits = symbol < EOS ? (CODE_BITS[symbol] ?? 0) : MAX_CODE_BITS;
    if (codeBits > MAX_WRITTEN_CODE_BITS) return -1;
    pending = (pending << codeBits) | (CODES[symbol] ?? 0);
    for (bits += codeBits; bits >= 8; bits -= 8) {
      if (at >= limit) return -1;
      target[at++] = pending >> (bits - 8);
    }
  }
  if (bits > 0) {
    if (at >= limit) return -1;
    target[at++] = (pending << (8 - bits)) | ((1 << (8 - bits)) - 1);
  }
  return at < limit ? at : -1;
}
