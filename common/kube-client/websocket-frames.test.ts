/** The frames of a WebSocket, in pieces of any size. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeFrame, type Frame, FrameReader, opcodes } from "./websocket-frames.ts";

/** As a server writes: without a mask. */
function serverFrame(payload: Buffer, { opcode = opcodes.binary as number, final = true } = {}) {
  const first = (final ? 0x80 : 0) | opcode;
  if (payload.length < 126) return Buffer.concat([Buffer.of(first, payload.length), payload]);
  const wide = payload.length > 65_535;
  const header = Buffer.alloc(wide ? 10 : 4);
  header[0] = first;
  header[1] = wide ? 127 : 126;
  if (wide) header.writeBigUInt64BE(BigInt(payload.length), 2);
  else header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

function readAll(reader: FrameReader, ...chunks: Buffer[]): Frame[] {
  return chunks.flatMap((chunk) => [...reader.read(chunk)]);
}

describe("a frame", () => {
  test("is read the same, in whatever pieces it comes", () => {
    const sizes = fc.array(fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536), { maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 70_000 }), (lengths, wanted) => {
        const sent = lengths.map((length, i) => Buffer.alloc(length, i + 1));
        const bytes = Buffer.concat(sent.map((payload) => serverFrame(payload)));
        // A piece for each of 65,536 bytes would be more arguments than the stack holds.
        const step = Math.max(wanted, Math.ceil(bytes.length / 1_000));
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += step) chunks.push(bytes.subarray(at, at + step));
        const reader = new FrameReader(65_536);
        const frames = readAll(reader, ...chunks);
        assert.deepEqual(
          frames.map(({ payload }) => payload.length),
          lengths,
        );
        assert.ok(frames.every(({ payload }, i) => payload.every((byte) => byte === i + 1)));
        assert.equal(reader.partial, false);
      }),
      { numRuns: 40 },
    );
  });

  test("of a client is masked, and unmasks to what was sent", () => {
    for (const length of [0, 5, 126, 70_000]) {
      const payload = Buffer.alloc(length, "abc");
      const key = Buffer.of(1, 2, 3, 4);
      const frame = encodeFrame(opcodes.binary, payload, key);
      assert.equal((frame[1] ?? 0) & 0x80, 0x80);
      const masked = frame.subarray(frame.length - length);
      const plain = Buffer.from(masked.map((byte, i) => byte ^ (key[i % 4] ?? 0)));
      assert.ok(plain.equals(payload));
    }
  });
});

describe("a server is not followed when it sends", () => {
  const bad: [string, Buffer][] = [
    ["a masked frame", encodeFrame(opcodes.binary, Buffer.from("x"), Buffer.alloc(4))],
    ["a reserved bit", Buffer.of(0xc2, 0)],
    ["a frame above the bound", serverFrame(Buffer.alloc(2000))],
    ["a length of 2^63 bytes", Buffer.of(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0)],
    ["a ping that is cut up", serverFrame(Buffer.alloc(1), { opcode: opcodes.ping, final: false })],
    ["a ping of 126 bytes", serverFrame(Buffer.alloc(126), { opcode: opcodes.ping })],
  ];
  for (const [what, bytes] of bad) {
    test(what, () => {
      assert.throws(() => readAll(new FrameReader(1000), bytes), { code: "WEBSOCKET_BROKEN" });
    });
  }
});
