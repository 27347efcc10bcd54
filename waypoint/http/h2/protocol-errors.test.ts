/** What RFC 9113 forbids a client, and how it is answered; the next connection is served. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  TYPE,
} from "#test/support/h2-frames.ts";
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from "./frames.ts";
import { ACK, answer, EMPTY, GET, PADDED, POST, RawServer, settings } from "./raw-peer-fixture.ts";

const open = (stream: number, block = POST) => frame(TYPE.headers, END_HEADERS, stream, block);
const whole = (stream: number, block = GET) =>
  frame(TYPE.headers, END_HEADERS | END_STREAM, stream, block);
const data = (stream: number, flags = 0, payload: Buffer = Buffer.of(1)) =>
  frame(TYPE.data, flags, stream, payload);
const windowUpdate = (stream: number, bytes: number) =>
  frame(TYPE.windowUpdate, 0, stream, number32(bytes));
const withLength = (bytes: string) =>
  Buffer.concat([POST, headerBlock([["content-length", bytes]])]);
const priority = (stream: number, on: number) =>
  frame(TYPE.priority, 0, stream, Buffer.concat([number32(on), Buffer.of(16)]));

type Cases = Readonly<Record<string, readonly [code: number, ...frames: readonly Buffer[]]>>;

/** By what is wrong: the code of the GOAWAY. */
const CONNECTION: Cases = {
  "DATA without a stream": [PROTOCOL_ERROR, data(0)],
  "DATA of a stream that nobody opened": [PROTOCOL_ERROR, data(1)],
  "more padding than frame": [PROTOCOL_ERROR, open(1), data(1, PADDED, Buffer.of(5, 1))],
  "padding without its length": [FRAME_SIZE_ERROR, open(1), data(1, PADDED, EMPTY)],
  "HEADERS without a stream": [PROTOCOL_ERROR, open(0)],
  "HEADERS of an even stream": [PROTOCOL_ERROR, open(2)],
  "a stream that was passed over": [PROTOCOL_ERROR, open(5), open(3)],
  "a header block that is none": [COMPRESSION_ERROR, whole(1, Buffer.of(0xff, 0xff, 0xff, 0xff))],
  "HEADERS with more padding than frame": [
    PROTOCOL_ERROR,
    frame(TYPE.headers, END_HEADERS | PADDED, 1, Buffer.of(9, 0x82)),
  ],
  "a stream that depends on itself": [PROTOCOL_ERROR, priority(1, 1)],
  "PRIORITY without a stream": [PROTOCOL_ERROR, priority(0, 1)],
  "PRIORITY of another size": [FRAME_SIZE_ERROR, frame(TYPE.priority, 0, 1, Buffer.alloc(4))],
  "RST_STREAM without a stream": [PROTOCOL_ERROR, frame(TYPE.resetStream, 0, 0, number32(8))],
  "RST_STREAM of what nobody opened": [PROTOCOL_ERROR, frame(TYPE.resetStream, 0, 1, number32(8))],
  "RST_STREAM of another size": [
    FRAME_SIZE_ERROR,
    open(1),
    frame(TYPE.resetStream, 0, 1, Buffer.alloc(3)),
  ],
  "SETTINGS of a stream": [PROTOCOL_ERROR, frame(TYPE.settings, 0, 1, EMPTY)],
  "SETTINGS of half a setting": [FRAME_SIZE_ERROR, frame(TYPE.settings, 0, 0, Buffer.alloc(3))],
  "acknowledged SETTINGS that say something": [
    FRAME_SIZE_ERROR,
    frame(TYPE.settings, ACK, 0, Buffer.alloc(6)),
  ],
  "a push that is neither": [PROTOCOL_ERROR, settings([2, 2])],
  "a window too large in SETTINGS": [FLOW_CONTROL_ERROR, settings([4, 0x8000_0000])],
  "frames too small in SETTINGS": [PROTOCOL_ERROR, settings([5, 16_383])],
  "frames too large in SETTINGS": [PROTOCOL_ERROR, settings([5, 2 ** 24])],
  PUSH_PROMISE: [PROTOCOL_ERROR, frame(TYPE.pushPromise, END_HEADERS, 1, number32(2))],
  "PING of a stream": [PROTOCOL_ERROR, frame(TYPE.ping, 0, 1, Buffer.alloc(8))],
  "PING of another size": [FRAME_SIZE_ERROR, frame(TYPE.ping, 0, 0, Buffer.alloc(7))],
  "GOAWAY of a stream": [PROTOCOL_ERROR, frame(TYPE.goaway, 0, 1, Buffer.alloc(8))],
  "GOAWAY of another size": [FRAME_SIZE_ERROR, frame(TYPE.goaway, 0, 0, Buffer.alloc(7))],
  "WINDOW_UPDATE of nothing": [PROTOCOL_ERROR, windowUpdate(0, 0)],
  "WINDOW_UPDATE of another size": [
    FRAME_SIZE_ERROR,
    frame(TYPE.windowUpdate, 0, 0, Buffer.alloc(5)),
  ],
  "WINDOW_UPDATE of what nobody opened": [PROTOCOL_ERROR, windowUpdate(1, 1)],
  "a window beyond its limit": [FLOW_CONTROL_ERROR, windowUpdate(0, 0x7fff_ffff)],
  "windows beyond their limit by SETTINGS": [
    FLOW_CONTROL_ERROR,
    open(1),
    windowUpdate(1, 0x7fff_ffff - 65_535),
    settings([4, 70_000]),
  ],
  "CONTINUATION of nothing": [PROTOCOL_ERROR, frame(TYPE.continuation, END_HEADERS, 1, EMPTY)],
  "CONTINUATION of another stream": [
    PROTOCOL_ERROR,
    frame(TYPE.headers, 0, 1, POST),
    frame(TYPE.continuation, END_HEADERS, 3, EMPTY),
  ],
  "another frame inside a header block": [
    PROTOCOL_ERROR,
    frame(TYPE.headers, 0, 1, POST),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8)),
  ],
  "a frame that is too long": [FRAME_SIZE_ERROR, open(1), data(1, 0, Buffer.alloc(16_385))],
};

/** By what is wrong: the code of the RST_STREAM of stream 1. */
const STREAM: Cases = {
  "DATA behind the end": [STREAM_CLOSED, open(1), data(1, END_STREAM), data(1)],
  "HEADERS behind the end": [STREAM_CLOSED, open(1), data(1, END_STREAM), whole(1)],
  "trailers that do not end it": [PROTOCOL_ERROR, open(1), open(1, headerBlock([["a", "b"]]))],
  "trailers with a pseudo-header": [PROTOCOL_ERROR, open(1), whole(1)],
  "trailers in upper case": [PROTOCOL_ERROR, open(1), whole(1, headerBlock([["A", "b"]]))],
  "a body longer than said": [
    PROTOCOL_ERROR,
    open(1, withLength("2")),
    data(1, END_STREAM, Buffer.alloc(3)),
  ],
  "a body shorter than said": [PROTOCOL_ERROR, open(1, withLength("2")), data(1, END_STREAM)],
  "no body where one was said": [PROTOCOL_ERROR, whole(1, withLength("2"))],
  "a body shorter than said, with trailers": [
    PROTOCOL_ERROR,
    open(1, withLength("2")),
    whole(1, headerBlock([["a", "b"]])),
  ],
  "WINDOW_UPDATE of nothing": [PROTOCOL_ERROR, open(1), windowUpdate(1, 0)],
  "a window beyond its limit": [FLOW_CONTROL_ERROR, open(1), windowUpdate(1, 0x7fff_ffff)],
};

describe("the connection ends, with", () => {
  for (const [name, [code, ...frames]] of Object.entries(CONNECTION)) {
    test(name, async () => {
      const peer = await server.connect();
      peer.send(...frames);
      assert.equal(await peer.goaway(), code);
      await peer.until(() => peer.closed);
      await isServed();
    });
  }
});

describe("the stream is reset, and the connection goes on, with", () => {
  for (const [name, [code, ...frames]] of Object.entries(STREAM)) {
    test(name, async () => {
      const peer = await server.connect();
      peer.send(...frames);
      assert.equal(await peer.reset(1), code);
      peer.send(whole(3));
      await peer.until(() => peer.of(TYPE.headers, 3).length === 1);
      assert.equal(peer.of(TYPE.goaway).length, 0);
      peer.socket.destroy();
    });
  }
});

let server: RawServer;
before(async () => {
  server = await RawServer.start({ concurrentStreams: 3 });
});
after(() => server.stop());

async function isServed(): Promise<void> {
  const peer = await server.connect();
  peer.send(whole(1));
  await peer.until(() => peer.of(TYPE.headers, 1).length === 1);
  peer.socket.destroy();
}

describe("a client", () => {
  test("that says something else first is cut off", async () => {
    const peer = await server.connect(frame(TYPE.ping, 0, 0, Buffer.alloc(8)));
    assert.equal(await peer.goaway(), PROTOCOL_ERROR);
  });

  test("that does not speak HTTP/2 is a fault of its connection, one that leaves is none", async () => {
    const own = await RawServer.start();
    const peer = await own.connect(Buffer.from("GET / HTTP/1.1 and so on, but no frame"));
    await peer.until(() => peer.closed && own.closings.length === 1);
    const other = await own.connect();
    other.socket.destroy();
    await other.until(() => own.closings.length === 2);
    own.stop();
    assert.ok(own.closings[0]);
    assert.equal(own.closings[1], undefined);
  });

  test("may send DATA only until its stream has ended", async () => {
    const peer = await server.connect();
    peer.send(whole(1));
    await peer.until(() => peer.of(TYPE.headers, 1).length === 1);
    peer.send(data(1));
    assert.equal(await peer.goaway(), STREAM_CLOSED);
  });

  test("that sends DATA behind its own reset is reset, too", async () => {
    server.onExchange = () => undefined;
    const peer = await server.connect();
    peer.send(open(1), frame(TYPE.resetStream, 0, 1, number32(8)), data(1));
    assert.equal(await peer.reset(1), STREAM_CLOSED);
    server.onExchange = answer;
  });

  test("may still send what it sent before it heard of our reset", async () => {
    server.onExchange = (exchange) => exchange.reset("limit");
    const peer = await server.connect();
    peer.send(open(1));
    assert.equal(await peer.reset(1), ENHANCE_YOUR_CALM);
    peer.send(data(1), data(1, END_STREAM), windowUpdate(1, 5));
    await peer.settled();
    assert.equal(peer.of(TYPE.goaway).length, 0);
    server.onExchange = answer;
  });

  test("opens no more streams at a time than it may", async () => {
    server.onExchange = () => undefined;
    const peer = await server.connect();
    peer.send(...[1, 3, 5, 7].map((stream) => open(stream)));
    assert.equal(await peer.reset(7), REFUSED_STREAM);
    peer.send(frame(TYPE.resetStream, 0, 1, number32(8)), open(9));
    await peer.settled();
    assert.equal(peer.of(TYPE.resetStream, 9).length, 0);
    server.onExchange = answer;
  });

  test("that sends more than a stream allows has it reset, and others go on", async () => {
    server.onExchange = () => undefined;
    const peer = await server.connect();
    const chunk = Buffer.alloc(16_384);
    peer.send(open(1), ...Array.from({ length: 17 }, () => data(1, 0, chunk)));
    assert.equal(await peer.reset(1), FLOW_CONTROL_ERROR);
    server.onExchange = answer;
    peer.send(whole(3));
    await peer.until(() => peer.of(TYPE.headers, 3).length === 1);
  });

  test("is answered 431 where its header is too large, and may go on", async () => {
    const peer = await server.connect();
    const large = Array.from({ length: 40 }, (_, i) => [`x-${i}`, "y".repeat(500)] as const);
    const block = Buffer.concat([GET, headerBlock(large)]);
    peer.send(frame(TYPE.headers, END_STREAM, 1, block.subarray(0, 16_000)));
    peer.send(frame(TYPE.continuation, END_HEADERS, 1, block.subarray(16_000)));
    await peer.until(() => peer.of(TYPE.data, 1).length === 1);
    assert.match(String(peer.of(TYPE.data, 1)[0]?.payload), /too large/);
    peer.send(whole(3));
    await peer.until(() => peer.of(TYPE.headers, 3).length === 1);
  });

  test("may send what means nothing: unknown frames, settings and flags, padding", async () => {
    const peer = await server.connect();
    peer.send(
      frame(0xee, 0xff, 1, Buffer.alloc(20)),
      settings([0x99, 5]),
      frame(TYPE.headers, END_HEADERS | PADDED | 0x20 | 0x80, 1, padded(POST)),
      data(1, PADDED, Buffer.of(2, 7, 0, 0)),
      data(1, PADDED | END_STREAM, Buffer.of(3, 0, 0, 0)),
    );
    await peer.until(() => peer.of(TYPE.headers, 1).length === 1);
    assert.equal(peer.of(TYPE.goaway).length, 0);
  });
});

/** A priority of no meaning in front, and padding around. */
function padded(block: Buffer): Buffer {
  return Buffer.concat([Buffer.of(4), number32(0), Buffer.of(15), block, Buffer.alloc(4)]);
}
