/** SETTINGS of a peer that change in the middle, and what they change. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { END_HEADERS, END_STREAM, frame, TYPE } from "#test/support/h2-frames.ts";
import { GET, RawServer, settings } from "./raw-peer-fixture.ts";
import { HEADER_TABLE_SIZE } from "./settings.ts";

let server: RawServer;
beforeEach(async () => {
  server = await RawServer.start();
});
afterEach(() => server.stop());

/** The table sizes that begin the next header block, and so does RFC 7541 4.2 ask for. */
async function sizesAfter(...changes: readonly Buffer[]): Promise<readonly number[]> {
  const peer = await server.connect();
  await peer.settled();
  peer.send(...changes, frame(TYPE.headers, END_HEADERS | END_STREAM, 1, GET));
  await peer.until(() => peer.of(TYPE.headers, 1).length === 1);
  peer.socket.destroy();
  const block = peer.of(TYPE.headers, 1)[0]?.payload ?? Buffer.alloc(0);
  const sizes: number[] = [];
  for (let at = 0; ((block[at] ?? 0) & 0xe0) === 0x20; at++) {
    let size = (block[at] ?? 0) & 0x1f;
    for (let shift = 0; size >= 0x1f; shift += 7) {
      const byte = block[++at] ?? 0;
      size += (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    sizes.push(size);
  }
  return sizes;
}

test("a table that was nothing in between was emptied, in one frame or in two", async () => {
  const nothing = [HEADER_TABLE_SIZE, 0] as const;
  const all = [HEADER_TABLE_SIZE, 4_096] as const;
  assert.deepEqual(await sizesAfter(settings(nothing), settings(all)), [0, 4_096]);
  assert.deepEqual(await sizesAfter(settings(nothing, all)), [0, 4_096]);
  assert.deepEqual(await sizesAfter(settings(all, nothing)), [0]);
  assert.deepEqual(await sizesAfter(settings([HEADER_TABLE_SIZE, 100_000])), []);
});
