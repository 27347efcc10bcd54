import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeHuffman, encodeHuffman, longestDecoded } from "./huffman.ts";
import { CODE_BITS, CODES, EOS } from "./huffman-code.ts";

const bitsOf = (number: number, bits: number): string => number.toString(2).padStart(bits, "0");
const CODE_TEXTS = new Map(
  Array.from(CODES, (code, symbol) => [bitsOf(code, CODE_BITS[symbol] ?? 0), symbol]),
);

/** As RFC 7541 5.2 says it, one bit at a time. */
function decodePlainly(bytes: Uint8Array): readonly number[] | undefined {
  const decoded: number[] = [];
  let rest = "";
  for (const bit of Array.from(bytes, (byte) => bitsOf(byte, 8)).join("")) {
    rest += bit;
    const symbol = CODE_TEXTS.get(rest);
    if (symbol === EOS) return undefined;
    if (symbol === undefined) continue;
    decoded.push(symbol);
    rest = "";
  }
  return rest.length < 8 && !rest.includes("0") ? decoded : undefined;
}

function encodePlainly(bytes: Uint8Array): Uint8Array {
  const codes = Array.from(bytes, (byte) => bitsOf(CODES[byte] ?? 0, CODE_BITS[byte] ?? 0));
  const text = codes.join("");
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8, "1");
  return Uint8Array.from(padded.match(/.{8}/g) ?? [], (bits) => Number.parseInt(bits, 2));
}

function decode(bytes: Uint8Array, room = longestDecoded(bytes.length)): Uint8Array | undefined {
  const target = new Uint8Array(room);
  // Other bytes around it are no part of it.
  const source = Uint8Array.of(0x1f, ...bytes, 0xff, 0xff, 0xff, 0xff);
  const length = decodeHuffman(source, 1, 1 + bytes.length, target);
  if (length > room) return target;
  return length < 0 ? undefined : target.subarray(0, length);
}

describe("Huffman's code", () => {
  test("is complete: nothing can be read in two ways, or in none", () => {
    assert.equal(CODE_TEXTS.size, 257);
    assert.equal(
      CODE_BITS.reduce((sum, bits) => sum + 2 ** (30 - bits), 0),
      2 ** 30,
    );
  });

  test("is read as bit by bit, whatever comes", () => {
    const anything = fc.uint8Array({ maxLength: 12 });
    const mostlyOnes = fc.array(fc.constantFrom(0xff, 0xfe, 0xfb, 0x7f, 0x1f, 0xf8), {
      maxLength: 12,
    });
    const input = fc.oneof(
      anything,
      mostlyOnes.map((bytes) => Uint8Array.from(bytes)),
    );
    fc.assert(
      fc.property(input, (bytes) => {
        const plain = decodePlainly(bytes);
        assert.deepEqual(decode(bytes), plain && Uint8Array.from(plain));
      }),
      { numRuns: 5_000 },
    );
  });

  test("comes back from any bytes, and into too little room only what fits", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, room) => {
        const encoded = encodePlainly(bytes);
        assert.deepEqual(decode(encoded), bytes);
        assert.deepEqual(decode(encoded, room), bytes.subarray(0, room));
      }),
      { numRuns: 2_000 },
    );
  });

  test("is written where that is shorter, and never beyond the text's own length", () => {
    const characters = fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom(..."etaoin-/0123456789") },
      { weight: 3, arbitrary: fc.constantFrom(...'ABXYZ&*;"?{}\\^~\0\n\x7f\x80\xff\u0100') },
    );
    fc.assert(
      fc.property(fc.array(characters, { maxLength: 126 }), (list) => {
        const text = list.join("");
        const target = new Uint8Array(text.length + 2).fill(0xaa);
        const end = encodeHuffman(text, target, 1);
        assert.equal(target[0], 0xaa);
        assert.equal(target.at(-1), 0xaa);
        if (end < 0) return;
        const bytes = Buffer.from(text, "latin1");
        assert.ok(end - 1 < bytes.length);
        assert.deepEqual(target.subarray(1, end), encodePlainly(bytes));
      }),
      { numRuns: 2_000 },
    );
  });
});
