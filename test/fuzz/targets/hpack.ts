/** The header blocks that a peer sends on one HTTP/2 connection. */
import assert from "node:assert/strict";
import { type HeaderBlock, HpackDecoder, HpackError } from "#waypoint/http/h2/hpack/decoder.ts";
import { HpackEncoder } from "#waypoint/http/h2/hpack/encoder.ts";
import { RFC_EXAMPLES } from "#waypoint/http/h2/hpack/rfc-fixtures.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const LIMITS = { tableBytes: 4_096, headerBytes: 2_048, headerCount: 30 };
const OVERHEAD_BYTES = 32;

/** One block behind the other, each behind its length in two bytes. */
function framed(blocks: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    blocks.flatMap((block) => [Buffer.of(block.length >> 8, block.length & 0xff), block]),
  );
}

function* blocksOf(input: Buffer): Generator<Buffer> {
  for (let at = 0; at + 2 <= input.length; ) {
    const end = at + 2 + input.readUInt16BE(at);
    yield input.subarray(at + 2, end);
    at = end;
  }
}

function checkLimits({ flat, tooLarge }: HeaderBlock): void {
  let bytes = 0;
  for (const text of flat) bytes += text.length;
  assert.ok(flat.length <= LIMITS.headerCount * 2, "more fields than allowed");
  const counted = bytes + (flat.length / 2) * OVERHEAD_BYTES;
  assert.ok(counted <= LIMITS.headerBytes, "more bytes than allowed");
  assert.ok(tooLarge || flat.length % 2 === 0);
}

export const hpack: FuzzTarget = {
  name: "hpack",
  corpus: RFC_EXAMPLES.map(({ blocks }) =>
    framed(blocks.map(([hex]) => Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))),
  ),
  words: [
    // Indices of both tables, sizes of the table, literals of all kinds, numbers that go on.
    ...[[0x82], [0xbe], [0xbf], [0xff, 0x01], [0x80], [0x20], [0x3f, 0xe1, 0x1f], [0x3f, 0x45]],
    ...[[0x40], [0x7e], [0x00], [0x10], [0x0f, 0x2f], [0x01, 0x61], [0x81, 0x1f], [0x82, 0xff]],
    ...[
      [0x7f, 0x80, 0x10],
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x80, 0x80, 0x80],
      [0x00, 0x01],
    ],
    ...[
      [0xff, 0xff, 0xff, 0xfc],
      [0xf8, 0x00],
      [0x7f, 0xff],
    ],
  ].map((bytes) => Uint8Array.from(bytes)),
  maxBytes: 8_000,
  check: (input) => {
    const decoder = new HpackDecoder(LIMITS);
    const encoder = new HpackEncoder();
    const other = new HpackDecoder(LIMITS);
    let outcome = "";
    for (const block of blocksOf(input)) {
      let taken: HeaderBlock;
      try {
        taken = decoder.decode(block);
      } catch (error) {
        assert.ok(error instanceof HpackError, String(error));
        return `${outcome} ${error.message}`;
      }
      checkLimits(taken);
      const again = other.decode(encoder.encode(taken.flat));
      assert.deepEqual(again, { flat: taken.flat, tooLarge: false }, "it was passed on otherwise");
      outcome += taken.tooLarge ? "L" : Math.min(9, taken.flat.length / 2);
    }
    return outcome;
  },
};
