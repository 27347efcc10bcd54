/** What costs a client little and us much: it is bounded, and others are served meanwhile. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  TYPE,
} from "#test/support/h2-frames.ts";
import { HeaderList } from "../header-list.ts";
import { FloodGuard } from "./flood-guard.ts";
import { ENHANCE_YOUR_CALM } from "./frames.ts";
import { INVALID_FRAME_RATE_PER_S, INVALID_FRAMES, WINDOW_UPDATES_AT_FIRST } from "./limits.ts";
import { EMPTY, GET, POST, type RawPeer, RawServer, settings } from "./raw-peer-fixture.ts";

const BATCH = 500;
const MIB = 1024 * 1024;
const MAX_GROWTH_MB = 120;

const get = (stream: number) => frame(TYPE.headers, END_HEADERS | END_STREAM, stream, GET);
const post = (stream: number) => frame(TYPE.headers, END_HEADERS, stream, POST);
const update = (stream: number) => frame(TYPE.windowUpdate, 0, stream, number32(1));
const reset = (stream: number) => frame(TYPE.resetStream, 0, stream, number32(8));

let server: RawServer;
before(async () => {
  server = await RawServer.start({ bodyTimeoutMs: 1_500 });
});
after(() => server.stop());

async function flood(peer: RawPeer, count: number, one: (i: number) => Buffer): Promise<void> {
  for (let i = 0; i < count && !peer.closed; i += BATCH) {
    peer.send(...Array.from({ length: BATCH }, (_, j) => one(i + j)));
    await sleep(0);
  }
}

async function isServed(): Promise<void> {
  const peer = await server.connect();
  peer.send(get(1));
  await peer.until(() => peer.of(TYPE.headers, 1).length === 1);
  peer.socket.destroy();
}

type Flood = (i: number) => Buffer;
const odd = (i: number) => 2 * i + 1;
const HELLO = [post(1)];

/** Each is sent until the connection ends, behind an open stream 1. */
const FLOODS: Readonly<Record<string, Flood>> = {
  "requests that are reset at once (CVE-2023-44487)": (i) =>
    Buffer.concat([get(odd(i + 1)), reset(odd(i + 1))]),
  "requests that make us reset them (CVE-2025-8671)": (i) =>
    Buffer.concat([post(odd(i + 1)), frame(TYPE.windowUpdate, 0, odd(i + 1), number32(0))]),
  "requests that are malformed": (i) =>
    frame(TYPE.headers, END_HEADERS | END_STREAM, odd(i + 1), headerBlock([["a", "b"]])),
  "more requests than at a time": (i) => post(odd(i + 1)),
  PING: () => frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
  SETTINGS: (i) => settings([4, 65_535 + (i % 2)]),
  "empty DATA": () => frame(TYPE.data, 0, 1, EMPTY),
  "DATA that is all padding": () => frame(TYPE.data, 0x8, 1, Buffer.of(1, 0)),
  PRIORITY: () => frame(TYPE.priority, 0, 1, Buffer.concat([number32(3), Buffer.of(1)])),
  "frames of no known type": () => frame(0xaa, 0, 1, EMPTY),
  WINDOW_UPDATE: () => frame(TYPE.windowUpdate, 0, 1, number32(1)),
  "RST_STREAM of what is over": (i) => (i === 0 ? Buffer.concat([get(3), reset(3)]) : reset(3)),
};

describe("a connection is cut off that is flooded with", () => {
  for (const [name, one] of Object.entries(FLOODS)) {
    test(name, async () => {
      server.onExchange = () => undefined;
      const peer = await server.connect();
      peer.send(...HELLO);
      void flood(peer, 60_000, one);
      assert.equal(await peer.goaway(), ENHANCE_YOUR_CALM);
      await peer.until(() => peer.closed);
      server.onExchange = (e) => e.respond({ status: 200, headers: new HeaderList() }, NONE);
      await isServed();
    });
  }

  test("a header block in too many pieces (CVE-2024-27316)", async () => {
    const peer = await server.connect();
    peer.send(frame(TYPE.headers, END_STREAM, 1, GET));
    void flood(peer, 10_000, () => frame(TYPE.continuation, 0, 1, EMPTY));
    assert.equal(await peer.goaway(), ENHANCE_YOUR_CALM);
  });

  test("a header block that is too long", async () => {
    const peer = await server.connect();
    const piece = headerBlock([["a", "b".repeat(16_000)]]);
    peer.send(frame(TYPE.headers, END_STREAM, 1, GET));
    for (let i = 0; i < 3; i++) peer.send(frame(TYPE.continuation, 0, 1, piece));
    assert.equal(await peer.goaway(), ENHANCE_YOUR_CALM);
  });
});

const NONE = { kind: "none" } as const;

test("a client may open the window of every request, though no body comes", async () => {
  server.onExchange = (e) => e.respond({ status: 204, headers: new HeaderList() }, NONE);
  const peer = await server.connect();
  const some = WINDOW_UPDATES_AT_FIRST / 100;
  for (let i = 0; i < 101; i++) {
    const streams = Array.from({ length: some }, (_, j) => odd(i * some + j));
    peer.send(...streams.map((id) => Buffer.concat([get(id), update(id)])));
    await peer.settled();
  }
  assert.equal(peer.of(TYPE.goaway).length, 0);
  // The next test counts who has left.
  const closings = server.closings.length;
  peer.socket.destroy();
  await peer.until(() => server.closings.length > closings);
});

test("a client that reads no answers is not read either, and cut off in the end", async () => {
  const headers = new HeaderList(["x-large", "y".repeat(8_000)]);
  let answered = 0;
  server.onExchange = (exchange) => {
    answered++;
    exchange.respond({ status: 200, headers }, NONE);
  };
  const peer = await server.connect();
  peer.socket.pause();
  const before = process.memoryUsage().rss;
  const closings = server.closings.length;
  void flood(peer, 50_000, (i) => get(odd(i)));
  await peer.until(() => server.closings.length > closings);
  const grown = (process.memoryUsage().rss - before) / MIB;
  assert.ok(answered < 10_000, `${answered} answers to a client that reads nothing`);
  assert.ok(grown < MAX_GROWTH_MB, `RSS rose by ${Math.round(grown)} MiB`);
  peer.socket.destroy();
});

test("a client that opens its window byte by byte is given up", async () => {
  const closed = Promise.withResolvers<string | undefined>();
  server.onExchange = (exchange) => {
    exchange.start({
      onData: () => true,
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClosed: (error) => closed.resolve(error?.code),
    });
    exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "unknown" });
    exchange.write(Buffer.alloc(50_000));
    exchange.end();
  };
  const peer = await server.connect(settings([4, 0]));
  peer.send(get(1));
  const drip = setInterval(() => peer.send(frame(TYPE.windowUpdate, 0, 1, number32(1))), 50);
  assert.equal(await closed.promise, "timeout");
  clearInterval(drip);
  peer.socket.destroy();
});

test("a header that does not get finished ends its connection in time", async () => {
  const quick = await RawServer.start({ headersTimeoutMs: 300 });
  const peer = await quick.connect();
  peer.send(frame(TYPE.headers, END_STREAM, 1, GET));
  assert.equal(await peer.goaway(), ENHANCE_YOUR_CALM);
  const other = await quick.connect(EMPTY);
  await other.until(() => other.closed);
  quick.stop();
});

test("headers that each come in time may come in pieces all the while", async (t) => {
  const patient = await RawServer.start({ headersTimeoutMs: 500 });
  t.after(() => patient.stop());
  const peer = await patient.connect();
  const half = Math.floor(get(1).length / 2);
  peer.send(get(1).subarray(0, half));
  for (let i = 0; i < 40; i++) {
    peer.send(get(odd(i)).subarray(half), get(odd(i + 1)).subarray(0, half));
    await sleep(50);
  }
  assert.deepEqual([peer.closed, peer.of(TYPE.goaway).length], [false, 0]);
});

test("what is invalid now and then ends no connection", (t) => {
  let now = 1_000;
  t.mock.method(performance, "now", () => now);
  const guard = new FloodGuard();
  for (let i = 0; i < INVALID_FRAMES; i++) guard.onFault();
  assert.throws(() => guard.onFault(), { code: ENHANCE_YOUR_CALM });
  now += 2_000;
  for (let i = 0; i < 2 * INVALID_FRAME_RATE_PER_S; i++) guard.onFault();
  assert.throws(() => guard.onFault(), { code: ENHANCE_YOUR_CALM });
});
