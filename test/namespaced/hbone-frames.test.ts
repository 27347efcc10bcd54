/** A captured pod's 15008 against peers that break HTTP/2 frame by frame. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  RawHttp2,
  TYPE,
} from "#test/support/h2-frames.ts";
import { connectTls } from "#test/support/hbone-peer.ts";
import { RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";
import { openConnections, processUse } from "#test/support/ztunnel-view.ts";

const EMPTY = Buffer.alloc(0);
const BATCH = 1_000;
/** An attack that is let go on must not be paid for in memory. */
const MAX_RSS_GROWTH_MB = 150;
const PATIENCE = { timeoutMs: 30_000 };
const FIRST_DYNAMIC_INDEX = 0x80 | 62;

let mesh: RawHboneMesh;
let authority: string;

before(async () => {
  mesh = await RawHboneMesh.start();
  authority = await mesh.authorityOf("web");
});

after(() => mesh?.[Symbol.asyncDispose]());

const connect = () =>
  headerBlock([
    [":method", "CONNECT"],
    [":authority", authority],
  ]);

const open = async () => new RawHttp2(await connectTls(await mesh.peerOptions("web")));

/** A connection with a tunnel on stream 1. */
async function openTunnel(): Promise<RawHttp2> {
  const peer = await open();
  await peer.send(frame(TYPE.headers, END_HEADERS, 1, connect()));
  await mesh.cluster.until("the tunnel stands", () => peer.count(TYPE.headers) === 1, PATIENCE);
  return peer;
}

type Attack = (peer: RawHttp2) => Promise<void>;

const times =
  (count: number, one: (i: number) => Buffer): Attack =>
  async (peer) => {
    for (let i = 0; i < count && !peer.closed; i += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - i) }, (_, j) => one(i + j));
      await peer.send(...batch);
    }
  };

/** The connection has to end, or at least the stream. */
const REFUSED: Readonly<Record<string, Attack>> = {
  "a window of a stream opened by nothing (D4.41)": times(1, () =>
    frame(TYPE.windowUpdate, 0, 1, number32(0)),
  ),
  "a window of a stream beyond its limit (D4.41)": times(2, () =>
    frame(TYPE.windowUpdate, 0, 1, number32(0x7fff_ffff)),
  ),
  "data after the end of its stream (D4.41)": times(3, () =>
    frame(TYPE.data, END_STREAM, 1, Buffer.of(1)),
  ),
  "a header block that never ends (D4.42)": async (peer) => {
    await peer.send(frame(TYPE.headers, 0, 3, connect()));
    await times(50_000, () => frame(TYPE.continuation, 0, 3, headerBlock([["a", "b"]])))(peer);
  },
  "empty parts of a header block by the thousand (D4.42)": async (peer) => {
    await peer.send(frame(TYPE.headers, 0, 3, connect()));
    await times(50_000, () => frame(TYPE.continuation, 0, 3, EMPTY))(peer);
  },
  "one long header named ten thousand times (D4.43)": async (peer) => {
    const bomb = [connect(), headerBlock([["x", "y".repeat(4_000)]], true)];
    const block = Buffer.concat([...bomb, Buffer.alloc(10_000, FIRST_DYNAMIC_INDEX)]);
    await peer.send(frame(TYPE.headers, END_HEADERS, 3, block));
  },
  "ten thousand cookies (D4.43)": async (peer) => {
    const cookies = Array.from({ length: 10_000 }, (_, i) => ["cookie", `a=${i}`] as const);
    const block = Buffer.concat([connect(), headerBlock(cookies)]);
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
  "a promise of a push (D4.45)": times(1, () =>
    frame(TYPE.pushPromise, END_HEADERS, 1, Buffer.concat([number32(2), connect()])),
  ),
};

/** It may go on, or be ended; what counts is what it costs. */
const BORNE: Readonly<Record<string, Attack>> = {
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

async function attack(run: Attack, judge: (peer: RawHttp2) => Promise<void>): Promise<void> {
  const before = await processUse(mesh.cluster, "node2");
  using peer = await openTunnel();
  await run(peer);
  await judge(peer);
  await mesh.assertUnharmed();
  const { rssMb } = await processUse(mesh.cluster, "node2");
  assert.ok(rssMb - before.rssMb < MAX_RSS_GROWTH_MB, `RSS rose from ${before.rssMb} to ${rssMb}`);
}

async function untilNothingIsLeft(): Promise<void> {
  await mesh.cluster.until(
    "node2 has no open connection",
    async () => (await openConnections(mesh.cluster, "node2")).length === 0,
    PATIENCE,
  );
}

describe("a peer is cut off, and others are served, when it sends", () => {
  for (const [title, run] of Object.entries(REFUSED)) {
    test(title, async () => {
      await attack(run, (peer) => {
        const refusals = () => peer.count(TYPE.goaway) + peer.count(TYPE.resetStream);
        const ended = () => peer.closed || refusals() > 0;
        return mesh.cluster.until("the peer is refused", ended, PATIENCE);
      });
      await untilNothingIsLeft();
    });
  }
});

describe("others are served while a peer sends", () => {
  for (const [title, run] of Object.entries(BORNE)) {
    test(title, async () => {
      await attack(run, () => Promise.resolve());
      await untilNothingIsLeft();
    });
  }
});

test("a peer that leaves in the middle of a header block leaves nothing behind (D4.42)", async () => {
  for (let i = 0; i < 20; i++) {
    using peer = await openTunnel();
    await peer.send(frame(TYPE.headers, 0, 3, connect()), frame(TYPE.continuation, 0, 3, EMPTY));
  }
  await untilNothingIsLeft();
  await mesh.assertUnharmed();
});
