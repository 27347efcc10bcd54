/**
 * Windows and turns (RFC 9113 5.2, 6.9): nobody gets more than it takes, nobody holds up others.
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { END_HEADERS, END_STREAM, frame, number32, TYPE } from "#test/support/h2-frames.ts";
import type { ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { STREAM_WINDOW_BYTES } from "./limits.ts";
import { GET, listener, POST, type RawPeer, RawServer, settings } from "./raw-peer-fixture.ts";

const INITIAL_WINDOW_SIZE = 4;
const CHUNK = Buffer.alloc(16_384, "x");

let server: RawServer;
beforeEach(async () => {
  server = await RawServer.start();
});
afterEach(() => server.stop());

const get = (stream: number) => frame(TYPE.headers, END_HEADERS | END_STREAM, stream, GET);
const post = (stream: number) => frame(TYPE.headers, END_HEADERS, stream, POST);
const data = (stream: number, payload: Buffer) => frame(TYPE.data, 0, stream, payload);
const windowUpdate = (stream: number, bytes: number) =>
  frame(TYPE.windowUpdate, 0, stream, number32(bytes));

/** Answers each exchange with so many bytes, as fast as they are taken. */
function answerWith(byteCount: number): void {
  server.onExchange = (exchange) => {
    let left = byteCount;
    const write = (): void => {
      while (left > 0) {
        const chunk = CHUNK.subarray(0, Math.min(left, CHUNK.length));
        left -= chunk.length;
        if (!exchange.write(chunk)) return;
      }
      exchange.end();
    };
    exchange.start(listener({ onDrain: write }));
    exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "unknown" });
    write();
  };
}

function ended(peer: RawPeer, stream: number): boolean {
  return peer.of(TYPE.data, stream).some(({ flags }) => (flags & END_STREAM) !== 0);
}

test("a stream gets what its window allows, to the byte", async () => {
  answerWith(100);
  const peer = await server.connect(settings([INITIAL_WINDOW_SIZE, 1]));
  peer.send(get(1));
  await peer.until(() => peer.bytes(1) === 1);
  peer.send(windowUpdate(1, 9));
  await peer.until(() => peer.bytes(1) === 10);
  peer.send(windowUpdate(1, 90));
  await peer.until(() => ended(peer, 1));
  assert.equal(peer.bytes(1), 100);
});

test("a window that SETTINGS make negative has to be opened past nothing first", async () => {
  answerWith(100);
  const peer = await server.connect(settings([INITIAL_WINDOW_SIZE, 20]));
  peer.send(get(1));
  await peer.until(() => peer.bytes(1) === 20);
  peer.send(settings([INITIAL_WINDOW_SIZE, 5]), windowUpdate(1, 15));
  await peer.settled();
  assert.equal(peer.bytes(1), 20);
  peer.send(windowUpdate(1, 1));
  await peer.until(() => peer.bytes(1) === 21);
  peer.send(settings([INITIAL_WINDOW_SIZE, 1_000]));
  await peer.until(() => ended(peer, 1));
});

test("the connection's window counts for all streams", async () => {
  answerWith(100_000);
  const peer = await server.connect(settings([INITIAL_WINDOW_SIZE, 1_000_000]));
  peer.send(get(1), get(3));
  await peer.until(() => peer.bytes() === 65_535);
  await peer.settled();
  assert.equal(peer.bytes(), 65_535);
  peer.send(windowUpdate(0, 1_000_000));
  await peer.until(() => ended(peer, 1) && ended(peer, 3));
});

test("a stream that is not read holds up no other", async () => {
  answerWith(200_000);
  const peer = await server.connect();
  peer.send(windowUpdate(0, 10_000_000), get(1));
  await peer.until(() => peer.bytes(1) === 65_535);
  peer.send(get(3), windowUpdate(3, 200_000));
  await peer.until(() => ended(peer, 3));
  assert.equal(peer.bytes(1), 65_535);
});

test("streams that wait for the connection's window take turns", async () => {
  answerWith(300_000);
  const peer = await server.connect(settings([INITIAL_WINDOW_SIZE, 1_000_000]));
  peer.send(get(1), get(3), get(5));
  await peer.until(() => peer.bytes() === 65_535);
  peer.send(windowUpdate(0, 300_000));
  await peer.until(() => peer.bytes() === 365_535);
  for (const stream of [1, 3, 5]) {
    assert.ok(peer.bytes(stream) > 60_000, `${stream} got ${peer.bytes(stream)} bytes`);
  }
});

test("bodies that nobody reads take no window from those that are read", async () => {
  let served = 0;
  server.onExchange = (exchange) => {
    if (exchange.request.method === "GET") answerNow(exchange);
  };
  const answerNow = (exchange: ServerExchange): void => {
    served++;
    exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "none" });
  };
  const peer = await server.connect();
  // Twice the connection's window.
  for (let stream = 1; stream < 17; stream += 2) {
    peer.send(post(stream));
    for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += CHUNK.length) {
      peer.send(data(stream, CHUNK));
    }
  }
  peer.send(get(17));
  await peer.until(() => served === 1);
  await peer.settled();
  assert.equal(peer.of(TYPE.goaway).length + peer.of(TYPE.resetStream).length, 0);
  const given = peer.of(TYPE.windowUpdate).filter(({ stream }) => stream !== 0);
  assert.equal(given.length, 0, "what was not read is not given back");
});

test("a body that is read again goes on, and all of it comes in order", async () => {
  const all = Buffer.from(Array.from({ length: 150_000 }, (_, i) => i % 251));
  const paused = Promise.withResolvers<ServerExchange>();
  const got: Uint8Array[] = [];
  const whole = Promise.withResolvers<void>();
  server.onExchange = (exchange) => {
    exchange.start(
      listener({
        onData: (chunk) => {
          got.push(Buffer.from(chunk));
          if (got.length === 1) paused.resolve(exchange);
          // Every third time it has had enough, and asks again later.
          if (got.length > 1 && got.length % 3 === 0) setImmediate(() => exchange.resume());
          return got.length % 3 !== 0 && got.length > 1;
        },
        onEnd: () => whole.resolve(),
      }),
    );
  };
  const peer = await server.connect();
  peer.send(post(1));
  let at = 0;
  for (const size of [1, 2, 3, 900, 1_100, 5_000, 16_384]) {
    for (let i = 0; i < 6 && at < all.length; i++, at += size) {
      peer.send(data(1, all.subarray(at, at + size)));
    }
  }
  peer.send(frame(TYPE.data, END_STREAM, 1, all.subarray(at)));
  (await paused.promise).resume();
  await whole.promise;
  assert.deepEqual(Buffer.concat(got), all);
});

test("what is written a little at a time arrives whole and in order", async () => {
  const pieces = Array.from({ length: 3_000 }, (_, i) => Buffer.from(`${i};`));
  server.onExchange = (exchange) => {
    exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "unknown" });
    for (const piece of pieces) exchange.write(piece);
    exchange.end(new HeaderList(["x-sum", "1"]));
  };
  const peer = await server.connect(settings([INITIAL_WINDOW_SIZE, 3]));
  peer.send(get(1));
  await peer.until(() => peer.bytes(1) === 3);
  for (let i = 0; i < 40; i++) peer.send(windowUpdate(1, 101));
  peer.send(windowUpdate(1, 100_000));
  await peer.until(() => peer.of(TYPE.headers, 1).length === 2);
  const body = Buffer.concat(peer.of(TYPE.data, 1).map(({ payload }) => payload));
  assert.deepEqual(body, Buffer.concat(pieces));
});
