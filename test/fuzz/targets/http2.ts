/** Frames that a client or an upstream sends to our HTTP/2. */
import assert from "node:assert/strict";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  TYPE,
} from "#test/support/h2-frames.ts";
import type { Wire } from "#waypoint/http/engine.ts";
import type { ServerExchange } from "#waypoint/http/exchange.ts";
import { http2Codec } from "#waypoint/http/h2/h2-codec.ts";
import { HeaderList } from "#waypoint/http/header-list.ts";
import type { RequestHead } from "#waypoint/http/message.ts";
import { RELAY_LIMITS } from "#waypoint/http/relay-fixture.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { MemoryEnd } from "./memory-end.ts";

const LIMITS = { ...RELAY_LIMITS, headerBytes: 2_048, headerCount: 20, concurrentStreams: 5 };
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const EMPTY = Buffer.alloc(0);
const SETTINGS = frame(TYPE.settings, 0, 0, EMPTY);
const FRAME_HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const PADDED = 0x8;
const WITH_PRIORITY = 0x20;

const REQUEST = headerBlock([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "a"],
  ["x-a", "1"],
]);
const RESPONSE = headerBlock([
  [":status", "200"],
  ["x-a", "1"],
]);
const TRAILERS = headerBlock([["x-t", "1"]], true);

const data = (stream: number, flags: number, text: string) =>
  frame(TYPE.data, flags, stream, Buffer.from(text));
const headers = (stream: number, flags: number, block: Buffer) =>
  frame(TYPE.headers, flags, stream, block);
const window = (stream: number, bytes: number) =>
  frame(TYPE.windowUpdate, 0, stream, number32(bytes));
const reset = (stream: number, code: number) => frame(TYPE.resetStream, 0, stream, number32(code));
const setting = (id: number, value: number) =>
  frame(TYPE.settings, 0, 0, Buffer.concat([Buffer.of(0, id), number32(value)]));
const goaway = (last: number, code: number) =>
  frame(TYPE.goaway, 0, 0, Buffer.concat([number32(last), number32(code)]));

const WORDS = [
  ...[0, 1, 3, 5].map((stream) => window(stream, 1)),
  ...[1, 3].flatMap((stream) => [
    headers(stream, END_HEADERS, REQUEST),
    headers(stream, END_HEADERS | END_STREAM, TRAILERS),
    data(stream, 0, "hello"),
    data(stream, END_STREAM, ""),
    reset(stream, 8),
  ]),
  ...[setting(4, 0), setting(4, 70_000), setting(1, 0), setting(3, 1), setting(5, 16_384)],
  ...[frame(TYPE.ping, 0, 0, Buffer.alloc(8)), goaway(1, 0), frame(0x55, 0, 0, EMPTY)],
  frame(TYPE.settings, 1, 0, EMPTY),
  frame(TYPE.continuation, END_HEADERS, 1, EMPTY),
  ...[Buffer.of(0x82), Buffer.of(0xbe), Buffer.of(0x20), Buffer.of(0x3f, 0xe1, 0x1f)],
];

/** What was told of one exchange, in order; bodies are joined. */
class Told {
  readonly events: string[] = [];
  body = "";
  #over = false;

  note(event: string): void {
    assert.equal(this.#over, false, `${event} after the end`);
    this.events.push(event);
  }

  data(chunk: Uint8Array): boolean {
    assert.equal(this.#over, false, "bytes after the end");
    assert.notEqual(chunk.length, 0);
    this.body += Buffer.from(chunk).toString("latin1");
    return true;
  }

  close(why: string): void {
    this.note(`closed ${why}`);
    this.#over = true;
  }

  get over(): boolean {
    return this.#over;
  }
}

interface Outcome {
  readonly told: readonly Told[];
  /** Frames that we sent: type, flags and stream. */
  readonly sent: readonly string[];
}

/** What a run is given: bytes in pieces, and how long the bodies are that we send. */
type Run = (pieces: Iterable<Uint8Array>, bodyBytes: number) => Outcome;

function wireOf(end: MemoryEnd): Wire {
  return { asEnd: () => end, asDuplex: () => assert.fail("HTTP/2 works on ends") };
}

function* bytesOf(input: Buffer, step: number): Generator<Uint8Array> {
  for (let at = 0; at < input.length; at += step) yield input.subarray(at, at + step);
}

/** Feeds what is there, then the end; every exchange has to be over then. */
function finish(
  end: MemoryEnd,
  pieces: Iterable<Uint8Array>,
  told: readonly Told[],
  preface = 0,
): Outcome {
  for (const piece of pieces) end.feed(piece);
  end.feedEnd();
  end.reset();
  for (const each of told) assert.ok(each.over, `an exchange never ended: ${each.events.join()}`);
  return { told, sent: framesOf(Buffer.concat(end.written), preface) };
}

function serve(pieces: Iterable<Uint8Array>, bodyBytes: number): Outcome {
  const end = new MemoryEnd();
  const told: Told[] = [];
  http2Codec.serve(wireOf(end), LIMITS, {
    onExchange: (exchange) => told.push(take(exchange, bodyBytes)),
    onClosed: () => undefined,
  });
  end.feed(Buffer.concat([PREFACE, SETTINGS]));
  return finish(end, pieces, told);
}

function take(exchange: ServerExchange, bodyBytes: number): Told {
  const told = new Told();
  const { method, path, authority, headers: fields } = exchange.request;
  told.note(`${method} ${authority} ${path} ${fields.flat.join()} ${exchange.body.kind}`);
  for (const text of [method, path, authority, ...fields.flat]) {
    assert.doesNotMatch(text, /[\r\n\0]/, "what no header may hold");
  }
  exchange.start({
    onData: (chunk) => told.data(chunk),
    onEnd: (trailers) => {
      told.note(`end ${trailers?.flat.join() ?? ""}`);
      exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "unknown" });
      exchange.write(Buffer.alloc(bodyBytes));
      exchange.end(new HeaderList(["x-t", "1"]));
    },
    onDrain: () => undefined,
    onClosed: (error) => told.close(error?.code ?? ""),
  });
  return told;
}

const ASKED: RequestHead = {
  ...{ version: "2", method: "POST", scheme: "http", authority: "a", path: "/" },
  headers: new HeaderList(),
};

function ask(pieces: Iterable<Uint8Array>, bodyBytes: number): Outcome {
  const end = new MemoryEnd();
  const connection = http2Codec.connect(wireOf(end), LIMITS, {
    onIdle: () => undefined,
    onClosed: () => undefined,
  });
  const told = [1, 2, 3].map((i) => {
    const each = new Told();
    const length = { kind: i === 1 ? "none" : "unknown" } as const;
    const exchange = connection.request(ASKED, length, {
      onInformation: ({ status }) => each.note(`information ${status}`),
      onHead: (head, body) => each.note(`${head.status} ${head.headers.flat.join()} ${body.kind}`),
      onData: (chunk) => each.data(chunk),
      onEnd: (trailers) => each.note(`end ${trailers?.flat.join() ?? ""}`),
      onDrain: () => undefined,
      onClosed: (error) => each.close(error?.code ?? ""),
    });
    if (i === 3) exchange.write(Buffer.alloc(bodyBytes));
    else exchange.end();
    return each;
  });
  end.feed(SETTINGS);
  return finish(end, pieces, told, PREFACE.length);
}

/** What we send are whole frames, each within its bounds. */
function framesOf(bytes: Buffer, preface: number): readonly string[] {
  const frames: string[] = [];
  let at = preface;
  while (at < bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    assert.ok(length <= MAX_FRAME_BYTES, "a frame that is too long");
    const [type, flags] = [bytes[at + 3], bytes[at + 4]];
    const code = type === TYPE.goaway ? bytes.readUInt32BE(at + FRAME_HEADER_BYTES + 4) : "";
    frames.push(`${type} ${flags} ${bytes.readUInt32BE(at + 5)} ${code}`);
    at += FRAME_HEADER_BYTES + length;
  }
  assert.equal(at, bytes.length, "a frame that is cut short");
  return frames;
}

const LONG_BODY_BYTES = 70_000;

function check(run: Run) {
  return (input: Buffer): string => {
    const whole = run([input], 0);
    for (const step of [1, 7]) {
      assert.deepEqual(run(bytesOf(input, step), 0), whole, `in pieces of ${step} it differs`);
      // How much of a body has left when something goes wrong depends on when it comes.
      run(bytesOf(input, step), LONG_BODY_BYTES);
    }
    run([input], LONG_BODY_BYTES);
    const events = whole.told.flatMap((told) => told.events.map((event) => event.split(" ")[0]));
    return `${events.slice(0, 8).join()} ${whole.sent.at(-1)}`;
  };
}

export const http2Server: FuzzTarget = {
  name: "http2-server",
  corpus: [
    [headers(1, END_HEADERS | END_STREAM, REQUEST), window(0, 100_000), window(1, 70_000)],
    [headers(1, END_HEADERS, REQUEST), data(1, 0, "ab"), data(1, END_STREAM, "c")],
    [
      headers(1, END_HEADERS, REQUEST),
      data(1, PADDED, "\u0002a\0\0"),
      headers(1, END_HEADERS | END_STREAM, TRAILERS),
    ],
    [
      headers(1, PADDED | WITH_PRIORITY, Buffer.concat([Buffer.alloc(6), REQUEST])),
      frame(TYPE.continuation, END_HEADERS, 1, TRAILERS),
      reset(1, 8),
    ],
    [1, 3, 5, 7, 9, 11].map((stream) => headers(stream, END_HEADERS, REQUEST)),
    [setting(4, 10), headers(1, END_HEADERS | END_STREAM, REQUEST), setting(4, 0), window(1, 20)],
    [frame(TYPE.priority, 0, 3, Buffer.alloc(5)), goaway(0, 0), frame(0x55, 9, 9, Buffer.alloc(9))],
  ].map((frames) => Buffer.concat(frames)),
  words: WORDS,
  maxBytes: 4_000,
  check: check(serve),
};

export const http2Client: FuzzTarget = {
  name: "http2-client",
  corpus: [
    [1, 3, 5].map((stream) => headers(stream, END_HEADERS | END_STREAM, RESPONSE)),
    [headers(1, END_HEADERS, RESPONSE), data(1, 0, "ab"), data(1, END_STREAM, "c")],
    [
      headers(3, END_HEADERS, headerBlock([[":status", "103"]])),
      headers(3, END_HEADERS, RESPONSE),
      headers(3, END_HEADERS | END_STREAM, TRAILERS),
    ],
    [goaway(1, 0), headers(1, END_HEADERS, RESPONSE), reset(1, 0)],
    [reset(1, 7), reset(3, 8), headers(5, END_HEADERS | END_STREAM, RESPONSE), reset(5, 0)],
    [window(0, 100_000), window(5, 100_000), setting(3, 1), setting(4, 5)],
  ].map((frames) => Buffer.concat(frames)),
  words: WORDS,
  maxBytes: 4_000,
  check: check(ask),
};
