/**
 * The code of RFC 7541 appendix B. It is canonical: codes of one length are consecutive numbers, in
 * the order of their symbols, so that the lengths say everything.
 */

/** Bits of each byte's code, and of EOS behind them: 16 in a row. */
const LENGTHS_IN_ROWS = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
  28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6
  5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7
  7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5
  6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
  24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
  21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
  19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
  26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30`;

/** The symbol behind all bytes, which no string may contain (RFC 7541 5.2). */
export const EOS = 256;

export const MAX_CODE_BITS = 30;

/** By symbol. */
export const CODE_BITS = Uint8Array.from(LENGTHS_IN_ROWS.trim().split(/\s+/), Number);

/** All symbols, those with short codes first. */
export const SYMBOLS = Uint16Array.from(CODE_BITS.keys()).sort(
  (one, other) => (CODE_BITS[one] ?? 0) - (CODE_BITS[other] ?? 0) || one - other,
);

/** By length in bits: the first code, how many there are, and where in `SYMBOLS` they begin. */
interface CodesOfLengths {
  readonly firstCodes: Uint32Array;
  readonly counts: Uint16Array;
  readonly firstSymbols: Uint16Array;
}

export const { firstCodes, counts, firstSymbols } = codesOfLengths();

/** By symbol. */
export const CODES = Uint32Array.from(CODE_BITS.keys(), codeOf);

function codesOfLengths(): CodesOfLengths {
  const lengths = MAX_CODE_BITS + 1;
  const firstCodes = new Uint32Array(lengths);
  const counts = new Uint16Array(lengths);
  const firstSymbols = new Uint16Array(lengths);
  let code = 0;
  let at = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    const count = CODE_BITS.filter((length) => length === bits).length;
    firstCodes[bits] = code;
    counts[bits] = count;
    firstSymbols[bits] = at;
    at += count;
    code = (code + count) * 2;
  }
  return { firstCodes, counts, firstSymbols };
}

function codeOf(symbol: number): number {
  const bits = CODE_BITS[symbol] ?? 0;
  return (firstCodes[bits] ?? 0) + SYMBOLS.indexOf(symbol) - (firstSymbols[bits] ?? 0);
}
