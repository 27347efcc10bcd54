import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { STATIC_NAMES, STATIC_VALUES } from "./static-table.ts";

const LIMITS = { tableBytes: 4_096, headerBytes: 1 << 20, headerCount: 1_000 };

const bytes = fc.uint8Array({ maxLength: 200 });
const anything = bytes.map((list) => Buffer.from(list).toString("latin1"));
const names = fc.oneof(
  fc.constantFrom(...STATIC_NAMES.slice(1)),
  fc.constantFrom("x-a", "x-b", "x-c", "grpc-status", "x-request-id"),
  anything,
);
const values = fc.oneof(
  fc.constantFrom(...STATIC_VALUES, "1", "2", "a value", "x".repeat(1_500), "x".repeat(3_000)),
  fc.nat(40).map((number) => `value ${number}`),
  anything,
);
const lists = fc.array(fc.tuple(names, values), { maxLength: 25 }).map((list) => list.flat());
const sizes = fc.constantFrom(0, 31, 32, 64, 100, 500, 1_000, 4_095, 4_096, 4_097, 1 << 20);

test("what is encoded is decoded as it was, however the table's size changes", () => {
  const block = fc.record({ sizes: fc.array(sizes, { maxLength: 3 }), flat: lists });
  const quiet = fc.record({ sizes: fc.constant<number[]>([]), flat: lists });
  const connection = fc.array(fc.oneof({ weight: 1, arbitrary: block }, quiet), { maxLength: 30 });
  fc.assert(
    fc.property(connection, (blocks) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(LIMITS);
      for (const { sizes, flat } of blocks) {
        for (const size of sizes) encoder.setMaxTableBytes(size);
        assert.deepEqual(decoder.decode(encoder.encode(flat)), { flat, tooLarge: false });
      }
    }),
    { numRuns: 300 },
  );
});
