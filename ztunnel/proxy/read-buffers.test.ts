import assert from "node:assert/strict";
import { test } from "node:test";
import {
  READ_SCRATCH_BYTES,
  SLAB_BYTES,
  SLAB_MIN_READ_BYTES,
  SLAB_THRESHOLD_BYTES,
  SLABS_PER_CONNECTION,
  SLABS_PER_WORKER,
} from "../limits.ts";
import { ReadBuffers, type ReadResult, SlabPool } from "./read-buffers.ts";

function read(buffers: ReadBuffers, byteCount: number, fill: number): ReadResult {
  const buffer = buffers.next();
  buffer.fill(fill, 0, byteCount);
  return buffers.accept(byteCount, buffer);
}

/** Reads past the threshold, so that the next read gets a slab. */
function warmUp(buffers: ReadBuffers): void {
  for (let moved = 0; moved < SLAB_THRESHOLD_BYTES; moved += READ_SCRATCH_BYTES) {
    assert.equal(read(buffers, READ_SCRATCH_BYTES, 0).release, undefined);
  }
}

test("bytes read into the shared buffer are copied out of it", () => {
  const buffers = new ReadBuffers(new SlabPool(), () => undefined);
  const first = read(buffers, 4, 1);
  const second = read(buffers, 4, 2);
  assert.deepEqual([...first.chunk], [1, 1, 1, 1]);
  assert.deepEqual([...second.chunk], [2, 2, 2, 2]);
});

test("bytes in flight are never overwritten by later reads of the same connection", () => {
  const buffers = new ReadBuffers(new SlabPool(), () => undefined);
  warmUp(buffers);
  const inFlight: ReadResult[] = [];
  for (let fill = 1; buffers.hasRoom() && fill < 200; fill++) {
    inFlight.push(read(buffers, SLAB_MIN_READ_BYTES, fill));
  }
  inFlight.forEach(({ chunk }, i) => {
    assert.ok(
      chunk.every((byte) => byte === i + 1),
      `chunk ${i} was overwritten`,
    );
  });
  assert.equal(inFlight.length, (SLABS_PER_CONNECTION * SLAB_BYTES) / SLAB_MIN_READ_BYTES);
});

test("a release while the slab is still being read into does not hand its bytes out twice", () => {
  const buffers = new ReadBuffers(new SlabPool(), () => undefined);
  warmUp(buffers);
  const first = read(buffers, 1000, 1);
  const next = buffers.next();
  first.release?.();
  next.fill(2, 0, 1000);
  const second = buffers.accept(1000, next);
  const third = read(buffers, 1000, 3);
  assert.ok(second.chunk.every((byte) => byte === 2));
  assert.ok(third.chunk.every((byte) => byte === 3));
});

test("a connection that waits for slabs is told when one is written", () => {
  let rooms = 0;
  const buffers = new ReadBuffers(new SlabPool(), () => rooms++);
  warmUp(buffers);
  const inFlight: ReadResult[] = [];
  while (buffers.hasRoom()) inFlight.push(read(buffers, SLAB_BYTES, 1));
  assert.equal(inFlight.length, SLABS_PER_CONNECTION);
  inFlight[0]?.release?.();
  assert.equal(rooms, 1);
  assert.ok(buffers.hasRoom());
});

test("slabs of closed connections come back, those in flight with their last write", () => {
  const pool = new SlabPool();
  const all: ReadResult[] = [];
  for (let i = 0; i < SLABS_PER_WORKER; i++) {
    const buffers = new ReadBuffers(pool, () => undefined);
    warmUp(buffers);
    all.push(read(buffers, 10, i));
    buffers.close();
  }
  const late = new ReadBuffers(pool, () => undefined);
  warmUp(late);
  assert.equal(read(late, 10, 0).release, undefined, "the pool should have been empty");
  for (const { release } of all) release?.();
  assert.notEqual(read(late, 10, 0).release, undefined, "no slab came back");
});
