/**
 * D4 51: what HTTP/2 lets a client write and HTTP/1.1 would read as something else. Frames by hand,
 * through the HTTP/2 server to an upstream of HTTP/1.1, whose bytes are judged: nothing of it may
 * become a second request, or a header of the first that its policies have not seen.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { wholeRequests } from "#test/codec-suite/whole-requests.ts";
import { END_HEADERS, END_STREAM, frame, headerBlock, TYPE } from "#test/support/h2-frames.ts";
import { llhttpForwarder } from "../h1/h1-codec.ts";
import { RelayProxy } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";
import { trailersFromBlock } from "./h2-head.ts";
import { validateRequest } from "./header-validation.ts";

type Fields = readonly (readonly [name: string, value: string])[];

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
const GET: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/x"],
  [":authority", "a"],
];
const POST: Fields = [[":method", "POST"], ...GET.slice(1)];

function withPseudo(name: string, value: string): Fields {
  return GET.map(([each, given]) => [each, each === name ? value : given] as const);
}

const LINE_ENDS = ["\r\n", "\n", "\r", "\0", "\r\n\r\n"];
const VALUES = LINE_ENDS.map((end) => `a${end}${SMUGGLED}`);

/** By what is wrong with it: a header block, and a body where there is one. */
const CASES: readonly (readonly [name: string, fields: Fields, body?: string])[] = [
  ...VALUES.flatMap((value) => {
    const shown = JSON.stringify(value.slice(0, 6));
    return [
      [`a value with ${shown}`, [...GET, ["x-a", value]]],
      [`a path with ${shown}`, withPseudo(":path", `/${value}`)],
      [`a method with ${shown}`, withPseudo(":method", `GET / HTTP/1.1${value}`)],
      [`an authority with ${shown}`, withPseudo(":authority", value)],
      [`a scheme with ${shown}`, withPseudo(":scheme", `http${value}`)],
      [`a name with ${shown}`, [...GET, [`x-a: 1${value}`, "1"]]],
      [`a host with ${shown}`, [...GET.slice(0, 3), ["host", value]]],
      [`a cookie with ${shown}`, [...GET, ["cookie", "a=1"], ["cookie", value]]],
    ] as const;
  }),
  ["a name with a colon", [...GET, ["x-a: 1", "1"]]],
  ["a name with a space", [...GET, ["transfer-encoding ", "chunked"]]],
  ["a name in upper case", [...GET, ["Transfer-Encoding", "chunked"]]],
  ["an empty name", [...GET, ["", "chunked"]]],
  ["an unknown pseudo-header", [...GET, [":x", "1"]]],
  ["a pseudo-header of a response", [...GET, [":status", "200"]]],
  ["a pseudo-header behind the others", [...GET.slice(0, 3), ["x-a", "1"], [":authority", "b"]]],
  ["two paths", [...GET, [":path", "/smuggled"]]],
  ["two methods", [...GET, [":method", "POST"]]],
  ["two authorities", [...GET, [":authority", "b"]]],
  ["no path", GET.filter(([name]) => name !== ":path")],
  ["an empty path", withPseudo(":path", "")],
  ["a path with a space", withPseudo(":path", "/x HTTP/1.1 y")],
  ["a method with a space", withPseudo(":method", "GET /smuggled")],
  ["an absolute path of another host", withPseudo(":path", "http://b/smuggled")],
  ["transfer-encoding", [...POST, ["transfer-encoding", "chunked"]], `0\r\n\r\n${SMUGGLED}`],
  ["transfer-encoding, obfuscated", [...POST, ["transfer-encoding", "xchunked"]], "0\r\n\r\n"],
  ["connection", [...GET, ["connection", "x-a"], ["x-a", "1"]]],
  ["keep-alive", [...GET, ["keep-alive", "1"]]],
  ["proxy-connection", [...GET, ["proxy-connection", "keep-alive"]]],
  ["upgrade", [...GET, ["upgrade", "websocket"]]],
  ["te beyond trailers", [...GET, ["te", "gzip"]]],
  ["a length below the body", [...POST, ["content-length", "1"]], SMUGGLED],
  ["a length above the body", [...POST, ["content-length", "999"]], SMUGGLED],
  ["a length of none", [...POST, ["content-length", "0"]], SMUGGLED],
  ["two lengths", [...POST, ["content-length", "1"], ["content-length", "35"]], SMUGGLED],
  ["a length that is no number", [...POST, ["content-length", "+35"]], SMUGGLED],
  ["a body on GET", GET, SMUGGLED],
  ["host beside another authority", [...GET, ["host", "b"]]],
  ["two hosts", [...GET.slice(0, 3), ["host", "a"], ["host", "b"]]],
  ["expect", [...POST, ["expect", "100-continue"]], SMUGGLED],
];

const FRAME_HEADER_BYTES = 9;
const VERDICTS: readonly number[] = [TYPE.headers, TYPE.resetStream, TYPE.goaway];

/** Whether an answer, a reset or the connection's end is among these frames. */
function decides(bytes: Buffer): boolean {
  for (let at = 0; at + FRAME_HEADER_BYTES <= bytes.length; ) {
    if (VERDICTS.includes(bytes[at + 3] ?? 0)) return true;
    at += FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
  }
  return false;
}

describe("from HTTP/2 to HTTP/1.1 nothing is smuggled by", () => {
  const codec = {
    name: "h2 to h1",
    serve: http2Codec.serve,
    connect: llhttpForwarder().connect,
  };
  const proxy = new RelayProxy(codec, { bodyTimeoutMs: 2_000 });
  const received: { text: string }[] = [];
  const upstream = net.createServer((socket) => {
    const connection = { text: "" };
    received.push(connection);
    let answered = 0;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      connection.text += chunk.toString("latin1");
      const { whole } = wholeRequests(connection.text);
      for (; answered < whole.length; answered++) {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      }
    });
  });

  before(async () => {
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    await proxy.listen((upstream.address() as net.AddressInfo).port);
  });
  after(() => {
    proxy.close();
    upstream.close();
  });

  /** Sends one request, and resolves when the server has said what becomes of it. */
  async function send(fields: Fields, body: string | undefined): Promise<void> {
    const socket = net.connect(proxy.port, "127.0.0.1");
    socket.on("error", () => undefined);
    const said = new Promise<void>((resolve) => {
      let bytes: Buffer = Buffer.alloc(0);
      socket.once("close", resolve);
      socket.on("data", (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (decides(bytes)) resolve();
      });
    });
    const flags = END_HEADERS | (body === undefined ? END_STREAM : 0);
    const frames = [
      Buffer.from(PREFACE),
      frame(TYPE.settings, 0, 0, Buffer.alloc(0)),
      frame(TYPE.headers, flags, 1, headerBlock(fields)),
      ...(body === undefined ? [] : [frame(TYPE.data, END_STREAM, 1, Buffer.from(body))]),
    ];
    socket.write(Buffer.concat(frames));
    await said;
    socket.destroy();
  }

  for (const [name, fields, body] of CASES) {
    test(name, async () => {
      const before = received.map(({ text }) => text.length);
      await send(fields, body);
      await send(withPseudo(":path", "/probe"), undefined);
      const all = received.map(({ text }, i) => text.slice(before[i] ?? 0));
      const lines = all.flatMap((text) => wholeRequests(text).whole.map(({ line }) => line));
      assert.ok(lines.includes("GET /probe"), "the next request is served");
      assert.ok(!lines.includes("GET /smuggled"), all.join("\n---\n"));
      assert.ok(lines.filter((line) => line !== "GET /probe").length <= 1, lines.join(", "));
      assert.doesNotMatch(all.join(""), /\r\nconnection: x-a|\r\n(upgrade|keep-alive):/i);
    });
  }
});

test("an authority is a host and perhaps a port, as in HTTP/1.1", () => {
  const lengthOf = (authority: string) =>
    validateRequest(withPseudo(":authority", authority).flat());
  for (const good of ["a", "a.b:80", "[::1]:80", "a_b", "127.0.0.1:"]) {
    assert.equal(lengthOf(good), -1, good);
  }
  for (const bad of ["user@a", "user:x@a", "a,b", "a:b", "a:1:2", "[", "[::1", ":80", "a/b"]) {
    assert.equal(lengthOf(bad), undefined, bad);
  }
});

test("trailers bring nothing that would have been checked before", () => {
  const late = ["authorization", "x", "x-forwarded-client-cert", "y", "cookie", "z", "host", "b"];
  assert.deepEqual(trailersFromBlock([...late, "grpc-status", "0"]).flat, ["grpc-status", "0"]);
});
