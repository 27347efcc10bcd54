/**
 * A waypoint's 15008 against peers that have a certificate of the mesh and break HTTP/2 frame by
 * frame: rows 41 to 48 of our list of attacks.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PING_INTERVAL_MS, PING_TIMEOUT_MS } from "#common/transport/limits.ts";
import { type Attack, BORNE, connectBlock, REFUSED } from "#test/support/h2-attacks.ts";
import { END_HEADERS, frame, number32, RawHttp2, TYPE } from "#test/support/h2-frames.ts";
import { connectTls, issueLeaf } from "#test/support/hbone-peer.ts";
import { plainService, WaypointFixture } from "./waypoint-fixture.ts";

const ECHO = plainService("echo", "10.96.0.1", { ports: [{ port: 7, protocol: "tcp" }] });
const AUTHORITY = "10.96.0.1:7";
const CONNECT = connectBlock(AUTHORITY);
/** Of this process, which is both sides. */
const MAX_RSS_GROWTH_MB = 200;
const MIB = 1024 * 1024;

let fixture: WaypointFixture;
const atServer = new Set<net.Socket>();

before(async () => {
  fixture = await WaypointFixture.start();
  await fixture.addService(ECHO);
  await fixture.startPod("echo", [ECHO], (socket) => {
    atServer.add(socket);
    socket.once("close", () => atServer.delete(socket));
    socket.on("error", () => undefined).pipe(socket);
  });
});
after(() => fixture.stop());

async function until(what: string, holds: () => boolean, timeoutMs = 40_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `it does not hold that ${what}`);
    await sleep(10);
  }
}

async function open(): Promise<RawHttp2> {
  const certificate = issueLeaf(fixture.ca, { namespace: "shop", serviceAccount: "client" });
  return new RawHttp2(await connectTls({ host: "127.0.0.1", port: fixture.port, certificate }));
}

/** A connection with a tunnel on stream 1. */
async function openTunnel(): Promise<RawHttp2> {
  const peer = await open();
  await peer.send(frame(TYPE.headers, END_HEADERS, 1, CONNECT));
  await until("the tunnel stands", () => peer.count(TYPE.headers) === 1);
  return peer;
}

async function echoed(stream: ClientHttp2Stream, text: string): Promise<void> {
  stream.write(text);
  assert.equal(String((await once(stream, "data"))[0]), text);
}

async function connect(session?: ClientHttp2Session): Promise<ClientHttp2Stream> {
  const { status, stream } = await fixture.connect(AUTHORITY, session && { session });
  assert.equal(status, 200);
  return stream;
}

/** Another client is served while, and nothing of the attacker is left. */
async function attack(run: Attack, judge: (peer: RawHttp2) => Promise<void>): Promise<void> {
  const before = process.memoryUsage.rss();
  {
    using peer = await openTunnel();
    await run(peer, CONNECT);
    await judge(peer);
    const other = await connect();
    await echoed(other, "served");
    other.close();
  }
  await until("nothing is left at the server", () => atServer.size === 0);
  await until("no connection stands", () => fixture.dataPlane.connections.size === 0);
  assert.deepEqual(fixture.internalErrors, []);
  const grown = (process.memoryUsage.rss() - before) / MIB;
  assert.ok(grown < MAX_RSS_GROWTH_MB, `RSS rose by ${Math.round(grown)} MiB`);
}

describe("a peer of a waypoint is cut off, and others are served, when it sends", () => {
  for (const [title, run] of Object.entries(REFUSED)) {
    test(title, () =>
      attack(run, (peer) => {
        const refusals = () => peer.count(TYPE.goaway) + peer.count(TYPE.resetStream);
        return until("the peer is refused", () => peer.closed || refusals() > 0);
      }),
    );
  }
});

describe("others are served while a peer of a waypoint sends", () => {
  for (const [title, run] of Object.entries(BORNE)) {
    test(title, () => attack(run, () => Promise.resolve()));
  }

  test("nothing to read with, for the answer of its own server (D4.44)", () =>
    attack(
      async (peer) => {
        await peer.send(frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.of(0, 4), number32(0)])));
        await peer.send(frame(TYPE.headers, END_HEADERS, 3, CONNECT));
        await peer.send(frame(TYPE.data, 0, 3, Buffer.alloc(16_000)));
      },
      () => Promise.resolve(),
    ));
});

test("a peer that leaves in the middle of a header block leaves nothing behind (D4.42)", async () => {
  for (let i = 0; i < 20; i++) {
    using peer = await openTunnel();
    await peer.send(frame(TYPE.headers, 0, 3, CONNECT), frame(TYPE.continuation, 0, 3, EMPTY));
  }
  await until("nothing is left at the server", () => atServer.size === 0);
  await until("no connection stands", () => fixture.dataPlane.connections.size === 0);
});

const EMPTY = Buffer.alloc(0);

test("streams under way when a peer says GOAWAY go on to their end (D4.46)", async () => {
  const peer = await openTunnel();
  await peer.send(frame(TYPE.goaway, 0, 0, Buffer.alloc(8)));
  const before = peer.count(TYPE.data);
  await peer.send(frame(TYPE.data, 0, 1, Buffer.from("still")));
  await until("the echo comes", () => peer.count(TYPE.data) > before);
  peer[Symbol.dispose]();
});

test("ten thousand aborted streams a minute do not end a tunnel (D4.47)", async () => {
  const session = await fixture.dial();
  const standing = await connect(session);
  const began = performance.now();
  for (let i = 0; i < 1_000; i++) {
    const stream = await connect(session);
    stream.close();
    // No faster than at that rate; slower machines are slower.
    const ahead = i * 6 - (performance.now() - began);
    if (ahead > 0) await sleep(ahead);
  }
  await echoed(standing, "it stands");
  session.destroy();
  await until("nothing is left at the server", () => atServer.size === 0);
});

test("a peer that answers no PING is let go, and its server with it (D4.48)", async () => {
  using peer = await openTunnel();
  const patience = 2 * (PING_INTERVAL_MS + PING_TIMEOUT_MS);
  await until("the server is let go", () => atServer.size === 0, patience);
  await until("the peer is cut off", () => peer.closed);
});
