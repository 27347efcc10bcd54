/** Against another implementation, the one in Node, on both sides of real connections. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, {
  type ClientHttp2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import net, { type AddressInfo } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { END_HEADERS, END_STREAM, frame, TYPE } from "#test/support/h2-frames.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";

const LIMITS = { tableBytes: 4_096, headerBytes: 65_536, headerCount: 200 };
const FRAME_HEADER_BYTES = 9;
const ACK = 1;
/** SETTINGS_HEADER_TABLE_SIZE (RFC 9113 6.5.2). */
const TABLE_SIZE_SETTING = 1;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const MESSAGES = 150;
const SEED = 20_260_401;
const DEADLINE_MS = 60_000;

/** What both HTTP/2 and Node let through; the first and the last of a value are no space. */
const value = fc.oneof(
  fc.constantFrom("", "1", "2", "gzip", "application/grpc", "v".repeat(500), "V".repeat(2_500)),
  fc.nat(30).map((number) => `value ${number}`),
  fc.string({ maxLength: 60 }).map((text) => text.trim()),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => {
    const visible = bytes.map((byte) => (byte < 0x21 || byte === 0x7f ? byte | 0x80 : byte));
    return Buffer.from(visible).toString("latin1");
  }),
);
const name = fc.oneof(
  fc.constantFrom("server", "vary", "accept-encoding", "x-request-id", "grpc-status", "x-a"),
  fc.constantFrom("x-authorization", "cache-control", "accept", "via", "link", "x-b"),
  fc.stringMatching(/^x-[a-z0-9_.~!#$%&'*+^`|-]{1,30}$/),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 15 }).map((list) => list.flat());
const tableBytes = fc.constantFrom(0, 33, 100, 500, 1_000, 4_096, 10_000);

interface Message {
  readonly request: readonly string[];
  readonly response: readonly string[];
  /** Settings of either side that come before it, if any. */
  readonly nodeTable: number | undefined;
  readonly ownTable: number | undefined;
}

const rarely = fc.option(tableBytes, { nil: undefined, freq: 6 });
const MESSAGE: fc.Arbitrary<Message> = fc.record({
  request: fields,
  response: fields,
  nodeTable: rarely,
  // We do not allow more than the table that a decoder begins with.
  ownTable: rarely.map((bytes) => bytes && Math.min(bytes, LIMITS.tableBytes)),
});

/** Our side of a connection: header blocks go through our encoder and decoder. */
class OwnPeer {
  readonly #socket: net.Socket;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(LIMITS);
  readonly #onBlock: (stream: number, flat: readonly string[]) => void;
  #received: Buffer = Buffer.alloc(0);
  /** Of the bytes that come first: a client's preface. */
  #skipped: number;

  constructor(
    socket: net.Socket,
    onBlock: (stream: number, flat: readonly string[]) => void,
    skipped = 0,
  ) {
    this.#socket = socket;
    this.#onBlock = onBlock;
    this.#skipped = skipped;
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#readFrame());
    });
  }

  settings(tableBytes?: number): void {
    const payload = Buffer.alloc(tableBytes === undefined ? 0 : 6);
    if (tableBytes !== undefined) {
      payload.writeUInt16BE(TABLE_SIZE_SETTING);
      payload.writeUInt32BE(tableBytes, 2);
    }
    this.#socket.write(frame(TYPE.settings, 0, 0, payload));
  }

  send(stream: number, flat: readonly string[]): void {
    const block = this.#encoder.encode(flat);
    const half = Math.floor(block.length / 2);
    const first = frame(TYPE.headers, END_STREAM, stream, block.subarray(0, half));
    const second = frame(TYPE.continuation, END_HEADERS, stream, block.subarray(half));
    this.#socket.write(Buffer.concat([first, second]));
  }

  /** False where there is no whole one. */
  #readFrame(): boolean {
    if (this.#received.length < this.#skipped) return false;
    const received = this.#received.subarray(this.#skipped);
    if (received.length < FRAME_HEADER_BYTES) return false;
    const end = FRAME_HEADER_BYTES + received.readUIntBE(0, 3);
    if (received.length < end) return false;
    this.#received = received.subarray(end);
    this.#skipped = 0;
    const payload = received.subarray(FRAME_HEADER_BYTES, end);
    const [type, flags] = [received[3] ?? 0, received[4] ?? 0];
    if (type === TYPE.settings && (flags & ACK) === 0) this.#takeSettings(payload);
    if (type === TYPE.headers) this.#takeHeaders(received.readUInt32BE(5), flags, payload);
    assert.notEqual(type, TYPE.resetStream);
    if (type === TYPE.goaway) assert.equal(payload.readUInt32BE(4), 0, "a fault was found");
    return true;
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== TABLE_SIZE_SETTING) continue;
      this.#encoder.setMaxTableBytes(payload.readUInt32BE(at + 2));
    }
    this.#socket.write(frame(TYPE.settings, ACK, 0, Buffer.alloc(0)));
  }

  #takeHeaders(stream: number, flags: number, payload: Buffer): void {
    assert.ok((flags & END_HEADERS) !== 0, "none of ours takes two frames");
    // Node sends none with a priority or padding.
    const { flat, tooLarge } = this.#decoder.decode(payload);
    assert.equal(tooLarge, false);
    this.#onBlock(stream, flat);
  }
}

async function portOf(server: net.Server | http2.Http2Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** All of a block but its pseudo-header fields. */
const behind = (flat: readonly string[], pseudo: number): readonly string[] =>
  flat.slice(pseudo * 2);

const messages = (): readonly Message[] => fc.sample(MESSAGE, { numRuns: MESSAGES, seed: SEED });

describe("Node reads what we write, and we read what it writes", { timeout: DEADLINE_MS }, () => {
  test("as server", async (t) => {
    let respond: readonly string[] = [];
    let seen: readonly string[] = [];
    let session: ServerHttp2Session | undefined;
    const server = http2.createServer();
    server.on("session", (opened) => {
      session = opened;
    });
    server.on("stream", (stream: ServerHttp2Stream, _headers, _flags, rawHeaders: string[]) => {
      seen = rawHeaders;
      stream.respond([":status", "200", ...respond], { endStream: true });
    });
    const socket = net.connect(await portOf(server), "127.0.0.1");
    let answered: (flat: readonly string[]) => void = () => undefined;
    const peer = new OwnPeer(socket, (_stream, flat) => answered(flat));
    t.after(() => {
      socket.destroy();
      server.close();
    });
    socket.write(PREFACE);
    peer.settings();
    const pseudo = [":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"];
    for (const [i, { request, response, nodeTable, ownTable }] of messages().entries()) {
      if (ownTable !== undefined) peer.settings(ownTable);
      if (nodeTable !== undefined) session?.settings({ headerTableSize: nodeTable });
      respond = response;
      const answer = new Promise<readonly string[]>((resolve) => {
        answered = resolve;
      });
      peer.send(i * 2 + 1, [...pseudo, ...request]);
      // Node says the date behind them.
      assert.deepEqual(behind(await answer, 1).slice(0, response.length), response);
      assert.deepEqual(seen, [...pseudo, ...request]);
    }
  });

  test("as client", async (t) => {
    let respond: readonly string[] = [];
    let seen: readonly string[] = [];
    let peer: OwnPeer | undefined;
    const server = net.createServer((socket) => {
      const answer = (stream: number, flat: readonly string[]): void => {
        seen = flat;
        own.send(stream, [":status", "200", ...respond]);
      };
      const own = new OwnPeer(socket, answer, PREFACE.length);
      own.settings();
      peer = own;
    });
    const client: ClientHttp2Session = http2.connect(`http://127.0.0.1:${await portOf(server)}`);
    t.after(() => {
      client.destroy();
      server.close();
    });
    for (const { request, response, nodeTable, ownTable } of messages()) {
      if (ownTable !== undefined) peer?.settings(ownTable);
      if (nodeTable !== undefined) client.settings({ headerTableSize: nodeTable });
      respond = response;
      const stream = client.request([":path", "/a", ...request]);
      stream.resume();
      const [, , rawHeaders] = (await once(stream, "response")) as [object, number, string[]];
      assert.deepEqual(behind(rawHeaders, 1), response);
      assert.deepEqual(behind(seen, 4), request);
    }
  });
});
