/** A captured pod's 15008 against peers that break HTTP/2 frame by frame. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Attack, BORNE, connectBlock, REFUSED } from "#test/support/h2-attacks.ts";
import { END_HEADERS, frame, RawHttp2, TYPE } from "#test/support/h2-frames.ts";
import { connectTls } from "#test/support/hbone-peer.ts";
import { RawHboneMesh } from "#test/support/raw-hbone-mesh.ts";
import { openConnections, processUse } from "#test/support/ztunnel-view.ts";

/** An attack that is let go on must not be paid for in memory. */
const MAX_RSS_GROWTH_MB = 150;
const PATIENCE = { timeoutMs: 30_000 };

let mesh: RawHboneMesh;
let connect: Buffer;

before(async () => {
  mesh = await RawHboneMesh.start();
  connect = connectBlock(await mesh.authorityOf("web"));
});

after(() => mesh?.[Symbol.asyncDispose]());

const open = async () => new RawHttp2(await connectTls(await mesh.peerOptions("web")));

/** A connection with a tunnel on stream 1. */
async function openTunnel(): Promise<RawHttp2> {
  const peer = await open();
  await peer.send(frame(TYPE.headers, END_HEADERS, 1, connect));
  await mesh.cluster.until("the tunnel stands", () => peer.count(TYPE.headers) === 1, PATIENCE);
  return peer;
}

async function attack(run: Attack, judge: (peer: RawHttp2) => Promise<void>): Promise<void> {
  const before = await processUse(mesh.cluster, "node2");
  using peer = await openTunnel();
  await run(peer, connect);
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
    await peer.send(
      frame(TYPE.headers, 0, 3, connect),
      frame(TYPE.continuation, 0, 3, Buffer.alloc(0)),
    );
  }
  await untilNothingIsLeft();
  await mesh.assertUnharmed();
});
