/** Bytes that wait: all of them, in order, and no longer than they wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteQueue } from "./byte-queue.ts";

const MIB = 1024 * 1024;

test("what has been taken is let go, though the queue never gets empty", () => {
  const queue = new ByteQueue();
  const before = process.memoryUsage().arrayBuffers;
  queue.append(Buffer.alloc(MIB));
  for (let i = 0; i < 512; i++) {
    queue.append(Buffer.alloc(MIB));
    queue.take(MIB);
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 256 * MIB, `${Math.round(grown / MIB)} MiB are kept`);
});

test("pieces of all sizes come out as they went in, in pieces of all sizes", () => {
  const queue = new ByteQueue();
  let put = 0;
  let got = 0;
  for (let i = 0; i < 20_000; i++) {
    const piece = Buffer.alloc(1 + ((i * 7_919) % (i % 3 === 0 ? 4_000 : 90)));
    for (let j = 0; j < piece.length; j++) piece[j] = put++ % 251;
    queue.append(piece);
    const most = 1 + ((i * 104_729) % (i % 500 < 250 ? 700 : 3_000));
    while (queue.length > 60_000 || (queue.length > 0 && i % 4 === 0)) {
      const { length } = queue;
      const taken = queue.take(most);
      assert.ok(taken.length > 0 && taken.length <= most);
      assert.equal(queue.length, length - taken.length);
      for (const byte of taken) assert.equal(byte, got++ % 251);
      if (i % 4 === 0) break;
    }
  }
  assert.equal(put, got + queue.length);
});
