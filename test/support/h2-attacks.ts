/**
 * Attacks on an HBONE server frame by frame, by their numbers in our list: the peer has a
 * certificate of the mesh, and a tunnel on stream 1.
 */
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  type RawHttp2,
  TYPE,
} from "#test/support/h2-frames.ts";

const EMPTY = Buffer.alloc(0);
const BATCH = 1_000;
const FIRST_DYNAMIC_INDEX = 0x80 | 62;

/** The header block of a CONNECT. */
export function connectBlock(authority: string): Buffer {
  return headerBlock([
    [":method", "CONNECT"],
    [":authority", authority],
  ]);
}

/** `connect` is a header block that asks for a tunnel. */
export type Attack = (peer: RawHttp2, connect: Buffer) => Promise<void>;

const times =
  (count: number, one: (i: number) => Buffer): Attack =>
  async (peer) => {
    for (let i = 0; i < count && !peer.closed; i += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - i) }, (_, j) => one(i + j));
      await peer.send(...batch);
    }
  };

/** The connection has to end, or at least the stream. */
export const REFUSED: Readonly<Record<string, Attack>> = {
  "a window of a stream opened by nothing (D4.41)": times(1, () =>
    frame(TYPE.windowUpdate, 0, 1, number32(0)),
  ),
  "a window of a stream beyond its limit (D4.41)": times(2, () =>
    frame(TYPE.windowUpdate, 0, 1, number32(0x7fff_ffff)),
  ),
  "data after the end of its stream (D4.41)": times(3, () =>
    frame(TYPE.data, END_STREAM, 1, Buffer.of(1)),
  ),
  "a header block that never ends (D4.42)": async (peer, connect) => {
    await peer.send(frame(TYPE.headers, 0, 3, connect));
    await times(50_000, () => frame(TYPE.continuation, 0, 3, headerBlock([["a", "b"]])))(
      peer,
      connect,
    );
  },
  "empty parts of a header block by the thousand (D4.42)": async (peer, connect) => {
    await peer.send(frame(TYPE.headers, 0, 3, connect));
    await times(50_000, () => frame(TYPE.continuation, 0, 3, EMPTY))(peer, connect);
  },
  "one long header named ten thousand times (D4.43)": async (peer, connect) => {
    const bomb = [connect, headerBlock([["x", "y".repeat(4_000)]], true)];
    const block = Buffer.concat([...bomb, Buffer.alloc(10_000, FIRST_DYNAMIC_INDEX)]);
    await peer.send(frame(TYPE.headers, END_HEADERS, 3, block));
  },
  "ten thousand cookies (D4.43)": async (peer, connect) => {
    const cookies = Array.from({ length: 10_000 }, (_, i) => ["cookie", `a=${i}`] as const);
    const block = Buffer.concat([connect, headerBlock(cookies)]);
    await peer.send(frame(TYPE.headers, 0, 3, block.subarray(0, 16_000)));
    for (let at = 16_000; at < block.length; at += 16_000) {
      const flags = at + 16_000 >= block.length ? END_HEADERS : 0;
      await peer.send(frame(TYPE.continuation, flags, 3, block.subarray(at, at + 16_000)));
    }
  },
  "a window of the connection beyond its limit (D4.44)": times(2, () =>
    frame(TYPE.windowUpdate, 0, 0, number32(0x7fff_ffff)),
  ),
  "a frame longer than is taken (D4.45)": times(1, () =>
    frame(TYPE.data, 0, 1, Buffer.alloc(64 * 1024 + 1)),
  ),
  "a promise of a push (D4.45)": (peer, connect) =>
    peer.send(frame(TYPE.pushPromise, END_HEADERS, 1, Buffer.concat([number32(2), connect]))),
};

/** It may go on, or be ended; what counts is what it costs. */
export const BORNE: Readonly<Record<string, Attack>> = {
  "a stream that depends on itself (D4.41)": times(1_000, () =>
    frame(TYPE.priority, 0, 1, Buffer.concat([number32(1), Buffer.of(16)])),
  ),
  "settings by the ten thousand (D4.44)": times(20_000, () => frame(TYPE.settings, 0, 0, EMPTY)),
  "pings by the ten thousand (D4.44)": times(50_000, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))),
  "empty data by the ten thousand (D4.44)": times(50_000, () => frame(TYPE.data, 0, 1, EMPTY)),
  "data byte by byte (D4.44)": times(50_000, () => frame(TYPE.data, 0, 1, Buffer.of(1))),
  "frames of no known type (D4.45)": times(10_000, (i) =>
    frame(0x20 + (i % 200), 0xff, 1, Buffer.alloc(8)),
  ),
};
