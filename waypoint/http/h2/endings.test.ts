/**
 * How connections and exchanges end: drains, GOAWAY, resets, time-outs (RFC 9113 5.4, 6.8, 8.1).
 */
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { End, EndEvents } from "#common/transport/end.ts";
import { END_HEADERS, END_STREAM, frame, number32, TYPE } from "#test/support/h2-frames.ts";
import type { ExchangeError, ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { DEADLINE_SWEEP_MS, LINGER_MS } from "../limits.ts";
import type { BodyLength } from "../message.ts";
import { RELAY_LIMITS } from "../relay-fixture.ts";
import { CANCEL, MAX_STREAM_ID, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from "./frames.ts";
import { http2Codec } from "./h2-codec.ts";
import { ACK, EMPTY, GET, listener, POST, type RawPeer, RawServer } from "./raw-peer-fixture.ts";

const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };
const OK = { status: 200, headers: new HeaderList() };

const get = (stream: number) => frame(TYPE.headers, END_HEADERS | END_STREAM, stream, GET);
const post = (stream: number) => frame(TYPE.headers, END_HEADERS, stream, POST);

describe("a server's connection", () => {
  let server: RawServer;
  let exchanges: ServerExchange[];
  beforeEach(async () => {
    server = await RawServer.start({ requestsPerConnection: 3 });
    exchanges = [];
    server.onExchange = (exchange) => {
      exchange.start(listener({}));
      exchanges.push(exchange);
    };
  });
  afterEach(() => server.stop());

  function lastStreams(peer: RawPeer): readonly number[] {
    return peer.of(TYPE.goaway).map(({ payload }) => payload.readUInt32BE(0));
  }

  test("that is drained first says so, then what it has taken, and ends with the last", async () => {
    const peer = await server.connect();
    peer.send(get(1));
    await peer.until(() => exchanges.length === 1);
    server.connections[0]?.drain();
    await peer.until(() => peer.of(TYPE.ping).length === 1);
    assert.deepEqual(lastStreams(peer), [MAX_STREAM_ID]);
    // It was on its way.
    peer.send(get(3), frame(TYPE.ping, ACK, 0, peer.of(TYPE.ping)[0]?.payload ?? EMPTY), get(5));
    await peer.until(() => peer.of(TYPE.goaway).length === 2);
    assert.deepEqual(lastStreams(peer), [MAX_STREAM_ID, 3]);
    await peer.settled();
    assert.equal(exchanges.length, 2);
    for (const exchange of exchanges) exchange.respond(OK, NONE);
    await peer.until(() => peer.closed);
    assert.equal(peer.of(TYPE.headers).length, 2);
  });

  test("that is drained ends, too, where nobody answers", async () => {
    const peer = await server.connect();
    await peer.settled();
    server.connections[0]?.drain();
    await peer.until(() => peer.closed);
    assert.deepEqual(lastStreams(peer).slice(0, 2), [MAX_STREAM_ID, 0]);
  });

  test("is drained when it has had as many requests as it may", async () => {
    const peer = await server.connect();
    peer.send(get(1), get(3));
    await peer.settled();
    assert.equal(peer.of(TYPE.goaway).length, 0);
    peer.send(get(5));
    assert.equal(await peer.goaway(), NO_ERROR);
    for (const exchange of exchanges) exchange.respond(OK, NONE);
    await peer.until(() => peer.closed);
    assert.equal(peer.of(TYPE.headers).length, 3);
  });

  test("ends that has been idle for too long", async (t) => {
    const hasty = await RawServer.start({ idleTimeoutMs: 300 });
    t.after(() => hasty.stop());
    const peer = await hasty.connect();
    assert.equal(await peer.goaway(), NO_ERROR);
    await peer.until(() => hasty.closings.length > 0);
    assert.deepEqual(hasty.closings, [undefined]);
  });

  test("refuses the rest of a request that has been answered, and is told of no error", async () => {
    const closed = Promise.withResolvers<ExchangeError | undefined>();
    server.onExchange = (exchange) => {
      exchange.start(listener({ onClosed: closed.resolve }));
      exchange.respond({ status: 413, headers: new HeaderList() }, UNKNOWN);
      exchange.write(Buffer.from("too much"));
      exchange.end();
    };
    const peer = await server.connect();
    peer.send(post(1));
    assert.equal(await peer.reset(1), NO_ERROR);
    assert.equal(await closed.promise, undefined);
    const [last] = peer.of(TYPE.data, 1);
    assert.equal(last?.flags, END_STREAM);
    assert.equal(String(last?.payload), "too much");
  });

  test("says which stream was cut, and why", async () => {
    const peer = await server.connect();
    for (const [i, code] of (["not-sent", "timeout", "protocol"] as const).entries()) {
      const stream = 2 * i + 1;
      server.onExchange = (exchange) => exchange.reset(code);
      peer.send(get(stream));
      const expected = { "not-sent": REFUSED_STREAM, timeout: CANCEL, protocol: PROTOCOL_ERROR };
      assert.equal(await peer.reset(stream), expected[code]);
    }
  });

  test("that is drained ignores all of a request that comes too late, and serves the rest", async () => {
    const peer = await server.connect();
    peer.send(get(1));
    await peer.until(() => exchanges.length === 1);
    server.connections[0]?.drain();
    await peer.until(() => peer.of(TYPE.ping).length > 0);
    peer.send(frame(TYPE.ping, ACK, 0, Buffer.alloc(8)), post(3));
    peer.send(frame(TYPE.data, 0, 3, Buffer.from("late")));
    peer.send(frame(TYPE.windowUpdate, 0, 3, number32(1)));
    peer.send(frame(TYPE.resetStream, 0, 3, number32(CANCEL)));
    await peer.settled();
    for (const exchange of exchanges) exchange.respond(OK, NONE);
    await peer.until(() => server.closings.length > 0);
    assert.equal(peer.of(TYPE.headers, 1).length, 1);
    assert.deepEqual(server.closings, [undefined]);
  });

  test("that is destroyed makes no answer complete that did not leave", async () => {
    const closed = Promise.withResolvers<ExchangeError | undefined>();
    server.onExchange = (exchange) => {
      exchange.start(listener({ onClosed: closed.resolve }));
      server.connections[0]?.destroy();
      exchange.respond(OK, UNKNOWN);
      exchange.write(Buffer.from("gone"));
      exchange.end();
    };
    const peer = await server.connect();
    peer.send(get(1));
    assert.equal((await closed.promise)?.code, "reset");
  });

  test("resets what would switch protocols, which HTTP/2 cannot", async () => {
    server.onExchange = (exchange) => {
      exchange.respond({ status: 101, headers: new HeaderList(), upgrade: "websocket" }, UNKNOWN);
    };
    const peer = await server.connect();
    peer.send(get(1));
    assert.equal(await peer.reset(1), PROTOCOL_ERROR);
    assert.equal(peer.of(TYPE.headers).length, 0);
  });

  test("sends no body before a head", async () => {
    server.onExchange = (exchange) => {
      exchange.start(listener({}));
      exchange.write(Buffer.from("early"));
      exchange.end();
      exchange.respond(OK, UNKNOWN);
      exchange.end();
    };
    const peer = await server.connect();
    peer.send(get(1));
    await peer.until(() => peer.of(TYPE.data, 1).length > 0);
    await peer.settled();
    const types = peer.frames.filter(({ stream }) => stream === 1).map(({ type }) => type);
    assert.deepEqual(types, [TYPE.headers, TYPE.data]);
  });
});

test("a connection that ends gives who reads slowly the time for what it is owed", async () => {
  let events: EndEvents | undefined;
  const unread: (() => void)[] = [];
  const end = {
    bytesRead: 0,
    start: (given: EndEvents) => (events = given),
    write: (_bytes: Uint8Array, release?: () => void) => unread.push(release ?? (() => undefined)),
    shutdown: () => undefined,
    resume: () => undefined,
    probe: () => undefined,
    reset: () => events?.onClosed(undefined),
  } as unknown as End;
  const closed = Promise.withResolvers<void>();
  const limits = { ...RELAY_LIMITS, idleTimeoutMs: 0 };
  const handlers = { onExchange: () => undefined, onClosed: () => closed.resolve() };
  http2Codec.serve({ asEnd: () => end, asDuplex: () => new Duplex() }, limits, handlers);
  const waited = sleep(2 * DEADLINE_SWEEP_MS + LINGER_MS + 2 * DEADLINE_SWEEP_MS, "it waits");
  assert.equal(await Promise.race([closed.promise, waited]), "it waits");
  for (const release of unread) release();
  await closed.promise;
});
