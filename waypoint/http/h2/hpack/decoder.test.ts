import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlockWriter } from "./block-writer.ts";
import { HpackDecoder, HpackError } from "./decoder.ts";
import { RFC_EXAMPLES } from "./rfc-fixtures.ts";

const LIMITS = { tableBytes: 4_096, headerBytes: 16_384, headerCount: 100 };

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
const split = (field: string): string[] => [...(field.match(/^(.[^:]*): (.*)$/)?.slice(1) ?? [])];

/** `write` and what it wrote. */
function block(write: (writer: BlockWriter) => void): Uint8Array {
  const writer = new BlockWriter();
  writer.begin();
  writer.reserve(100_000);
  write(writer);
  return writer.finish();
}

function decode(block: string | Uint8Array, limits = LIMITS) {
  const decoder = new HpackDecoder(limits);
  return decoder.decode(typeof block === "string" ? bytesOf(block) : block);
}

function assertRefused(block: string | Uint8Array, reason: RegExp): void {
  assert.throws(
    () => decode(block),
    (error) => error instanceof HpackError && reason.test(error.message),
  );
}

describe("the examples of RFC 7541", () => {
  for (const { name, tableBytes, blocks } of RFC_EXAMPLES) {
    test(name, () => {
      const decoder = new HpackDecoder(LIMITS);
      decoder.decode(block((writer) => writer.integer(0x20, 0x1f, tableBytes)));
      for (const [hex, ...fields] of blocks) {
        const expected = { flat: fields.flatMap(split), tooLarge: false };
        assert.deepEqual(decoder.decode(bytesOf(hex)), expected);
      }
    });
  }

  test("C.1, integers", () => {
    assert.deepEqual(
      block((writer) => {
        writer.integer(0, 0x1f, 10);
        writer.integer(0, 0x1f, 1_337);
        writer.integer(0, 0xff, 42);
      }),
      bytesOf("0a 1f9a0a 2a"),
    );
  });
});

describe("a number", () => {
  test("may have 32 bits", () => {
    assertRefused("3fe0ffffff0f", /a table larger than allowed/);
  });

  test("may say with more bytes what fewer could", () => {
    assert.deepEqual(decode("0f90 8080 8000 0131").flat, ["content-type", "1"]);
  });

  test("beyond that is refused", () => {
    assertRefused("3fe1ffffff0f", /beyond 32 bits/);
    assertRefused("3fffffffff7f", /beyond 32 bits/);
    assertRefused("3f808080808000", /beyond 32 bits/);
  });

  test("that is cut off is refused", () => {
    for (const hex of ["ff", "ff80", "40", "7f", "3fe1"]) assertRefused(hex, /cut off/);
  });
});

describe("a string", () => {
  test("in Huffman's code comes back with any byte in it", () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");
    assert.deepEqual(decode(Buffer.concat([bytesOf("0001617f8101"), Buffer.from(all, "latin1")])), {
      flat: ["a", all],
      tooLarge: false,
    });
  });

  test("is taken up to the limits, however long that is", () => {
    const head = block((writer) => {
      writer.integer(0, 0x0f, 31);
      writer.integer(0x80, 0x7f, 25_000);
    });
    const large = { ...LIMITS, headerBytes: 60_000 };
    const { flat } = decode(Buffer.concat([head, Buffer.alloc(25_000, 0)]), large);
    assert.deepEqual(flat, ["content-type", "0".repeat(40_000)]);
  });

  test("that is longer than its block is refused", () => {
    assertRefused("000161", /cut off/);
    assertRefused("0001610261", /cut off in a string/);
    assertRefused("00017f", /cut off/);
    assertRefused("00ffffffff0f", /cut off in a string/);
  });

  test("is refused where its padding is a byte or more, or is not ones", () => {
    assert.deepEqual(decode("0001 6181 1f").flat, ["a", "a"]);
    assertRefused("0001 6182 1fff", /Huffman/);
    assertRefused("0001 6181 ff", /Huffman/);
    assertRefused("0001 6181 18", /Huffman/);
    assertRefused("0001 6181 1e", /Huffman/);
  });

  test("is refused where EOS is in it", () => {
    assertRefused("0001 6184 ffff ffff", /Huffman/);
    assertRefused("0001 6185 ffff ffff fc", /Huffman/);
    assertRefused("0001 6184 ffff fffc", /Huffman/);
  });
});

describe("an index", () => {
  test("is refused where nothing is", () => {
    assertRefused("80", /index 0/);
    assertRefused("be", /beyond the table/);
    assertRefused("7e0161", /beyond the table/);
    assertRefused("0f2f0161", /beyond the table/);
    assertRefused("ffffffffff0e", /beyond the table/);
  });

  test("is refused however many entries there are before it", () => {
    const decoder = new HpackDecoder(LIMITS);
    for (let i = 1; i <= 40; i++) {
      decoder.decode(bytesOf("4001 6101 31"));
      for (const beyond of [1, 2, 8, 64, 128]) {
        const indexed = block((writer) => writer.integer(0x80, 0x7f, 61 + i + beyond));
        assert.throws(() => decoder.decode(indexed), HpackError);
      }
      assert.deepEqual(decoder.decode(bytesOf("be")).flat, ["a", "1"]);
    }
  });

  test("may be that of a field whose place its own field takes", () => {
    const decoder = new HpackDecoder(LIMITS);
    const long = "v".repeat(4_000);
    const add = (index: number) =>
      block((writer) => {
        writer.integer(0x40, 0x3f, index);
        if (index === 0) writer.string("name");
        writer.string(long);
      });
    assert.deepEqual(decoder.decode(add(0)).flat, ["name", long]);
    assert.deepEqual(decoder.decode(add(62)).flat, ["name", long]);
    assert.deepEqual(decoder.decode(bytesOf("be")).flat, ["name", long]);
    assert.throws(() => decoder.decode(bytesOf("bf")), HpackError);
  });
});

describe("a size update", () => {
  test("drops what does not fit any more", () => {
    const decoder = new HpackDecoder(LIMITS);
    decoder.decode(bytesOf("4001 6101 31 4001 6201 32"));
    assert.deepEqual(decoder.decode(bytesOf("3f03 be")).flat, ["b", "2"]);
    assert.throws(() => decoder.decode(bytesOf("bf")), HpackError);
  });

  test("may come twice at the beginning, and not behind a field", () => {
    assert.deepEqual(decode("20 3fe11f 82").flat, [":method", "GET"]);
    assertRefused("82 20", /size update behind a field/);
  });

  test("is refused beyond what was allowed", () => {
    assertRefused("3fe21f", /larger than allowed/);
    const allowed = { ...LIMITS, tableBytes: 8_192 };
    assert.deepEqual(decode("3fe13f", allowed), { flat: [], tooLarge: false });
  });

  test("to nothing makes a table that nothing is added to", () => {
    const decoder = new HpackDecoder(LIMITS);
    assert.deepEqual(decoder.decode(bytesOf("20 4001 6101 31")).flat, ["a", "1"]);
    assert.throws(() => decoder.decode(bytesOf("be")), HpackError);
  });
});

describe("beyond its limits, a block is not taken, and the next one can be", () => {
  const limits = { ...LIMITS, headerBytes: 200, headerCount: 4 };

  test("counting the bytes of each field and 32", () => {
    const field = (characters: number) =>
      block((writer) => {
        writer.integer(0x40, 0x3f, 0);
        writer.string("n");
        writer.string("v".repeat(characters));
      });
    assert.equal(decode(field(200 - 33), limits).tooLarge, false);
    const decoder = new HpackDecoder(limits);
    assert.deepEqual(decoder.decode(field(201 - 33)), { flat: [], tooLarge: true });
    // It is in the table all the same: both sides count on that.
    decoder.decode(bytesOf("7e 0131"));
    assert.deepEqual(decoder.decode(bytesOf("be")).flat, ["n", "1"]);
  });

  test("with what follows the limit in the table, as both sides count on", () => {
    const decoder = new HpackDecoder(limits);
    const fields = "4001 6101 31 4001 6281 1f";
    assert.equal(decoder.decode(bytesOf(`82828282 82 ${fields}`)).tooLarge, true);
    assert.deepEqual(decoder.decode(bytesOf("bebf")).flat, ["b", "a", "a", "1"]);
  });

  test("counting fields", () => {
    assert.equal(decode("82828282", limits).tooLarge, false);
    assert.equal(decode("8282828282", limits).tooLarge, true);
  });

  test("whatever a small block would grow to", () => {
    const decoder = new HpackDecoder(LIMITS);
    const big = block((writer) => {
      writer.integer(0x40, 0x3f, 0);
      writer.string("n");
      writer.string("v".repeat(4_000));
    });
    decoder.decode(big);
    const bomb = Buffer.alloc(1 << 20, 0xbe);
    const before = process.memoryUsage().heapUsed;
    const { flat, tooLarge } = decoder.decode(bomb);
    assert.equal(tooLarge, true);
    assert.equal(flat.length, 8);
    assert.ok(process.memoryUsage().heapUsed - before < 8 << 20);
  });

  test("nor is a string held that is longer than all of it, in whatever code", () => {
    const decoder = new HpackDecoder(limits);
    decoder.decode(bytesOf("4001 6101 31"));
    const head = block((writer) => {
      writer.integer(0x40, 0x3f, 0);
      writer.string("a");
      writer.integer(0x80, 0x7f, 1_000_000);
    });
    // Each five bits of it are a "0".
    const zeros = Buffer.alloc(1_000_000, 0);
    assert.deepEqual(decoder.decode(Buffer.concat([head, zeros])), { flat: [], tooLarge: true });
    assert.throws(() => decoder.decode(bytesOf("be")), HpackError, "it has emptied the table");
  });
});
