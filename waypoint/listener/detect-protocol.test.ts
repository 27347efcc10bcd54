import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import tls from "node:tls";
import { DETECTION_BYTES } from "../limits.ts";
import { readClientHello } from "./client-hello.ts";
import { type Declared, detectProtocol, isServersWord } from "./detect-protocol.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function kindOf(declared: Declared, text: string, over = false): string | undefined {
  return detectProtocol(declared, Buffer.from(text, "latin1"), over)?.kind;
}

/** What a client of Node's sends first. */
async function clientHello(servername: string, more: tls.ConnectionOptions = {}): Promise<Buffer> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ host: "127.0.0.1", port, servername, ...more });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [net.Socket];
  const [hello] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  server.close();
  return hello;
}

describe("a port that does not say what it carries", () => {
  const cases: [text: string, kind: string | undefined][] = [
    ["GET / HTTP/1.1\r\n", "http1"],
    ["OPTIONS * HTTP/1.1\r\n", "http1"],
    ["GET http://web/ HTTP/1.1\r\n", "http1"],
    ["PURGE /cache HTTP/1.1\r\n", "http1"],
    ["GET /", "http1"],
    ["GE", undefined],
    ["PURGE /cache", undefined],
    [PREFACE, "http2"],
    ["PRI * HT", undefined],
    ["PRIVMSG #a :hi\r\n", "tcp"],
    ["GET key\r\n", "tcp"],
    ["*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "tcp"],
    ["EHLO mail\r\n", "tcp"],
    ["\0\0\0\x08\x04\xd2\x16\x2f", "tcp"],
    ["\x16\x03", undefined],
    ["\x16\x02\x01", "tcp"],
    [" GET / HTTP/1.1\r\n", "tcp"],
    ["\r\nGET / HTTP/1.1\r\n", "tcp"],
    ["GET  / HTTP/1.1\n", "http1"],
    ["POST /x HTTP/3.0\r\n", "http1"],
    ["HELO /x HTTP/2.0\r\n", "tcp"],
  ];
  for (const [text, kind] of cases) {
    test(`${JSON.stringify(text)} is ${kind ?? "not decided"}`, () => {
      assert.equal(kindOf("auto", text), kind);
    });
  }

  test("is plain TCP for a client that says nothing, or stops in the middle", () => {
    assert.equal(kindOf("auto", ""), undefined);
    assert.equal(kindOf("auto", "", true), "tcp");
    assert.equal(kindOf("auto", "PURGE /ca", true), "tcp");
    assert.equal(kindOf("auto", "PRI *", true), "tcp");
    assert.equal(kindOf("auto", "\x16\x03\x01\x02\x00\x01", true), "tcp");
  });

  test("decides at its bounds, whatever comes", () => {
    assert.equal(kindOf("auto", "X".repeat(DETECTION_BYTES)), "tcp");
    const endless = Buffer.alloc(DETECTION_BYTES, "a");
    endless.set([0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xf0]);
    assert.equal(detectProtocol("auto", endless, false)?.kind, "tcp");
  });
});

test("a server's first bytes are its word, unless they are an HTTP/2 server's settings", () => {
  const words = [
    "220 ready\r\n",
    "OK\n",
    "\x4a\0\0\0\x0a8.0",
    "\0\0\x12\x05\0\0\0\0\0",
    "\0\0\0\x01",
  ];
  for (const word of words) assert.equal(isServersWord(Buffer.from(word, "latin1")), true, word);
  for (const text of ["", "\0", "\0\0\x12\x04\0", "\0\0\x12\x04\0\0\0\0\0\0\x03"]) {
    assert.equal(isServersWord(Buffer.from(text, "latin1")), false, text);
  }
});

test("a port that is declared HTTP is told HTTP/2 by its preface, and all else is HTTP/1.1", () => {
  for (const declared of ["http", "http2", "grpc"] as const) {
    assert.equal(kindOf(declared, PREFACE), "http2");
    assert.equal(kindOf(declared, "PRI * H"), undefined);
    assert.equal(kindOf(declared, "\0\x01"), "http1");
    assert.equal(kindOf(declared, ""), undefined);
    assert.equal(kindOf(declared, "", true), "http1");
  }
});

describe("a client hello", () => {
  test("names the server, in however many pieces and records it comes", async () => {
    const hello = await clientHello("Shop.Example.COM");
    assert.deepEqual(readClientHello(hello), { kind: "hello", sni: "shop.example.com" });
    for (let length = 1; length < hello.length; length++) {
      assert.deepEqual(readClientHello(hello.subarray(0, length)), { kind: "incomplete" });
    }
    const body = hello.subarray(5);
    const records = [body.subarray(0, 3), body.subarray(3, 90), body.subarray(90)].map((part) =>
      Buffer.concat([Buffer.of(22, 3, 1, part.length >> 8, part.length & 255), part]),
    );
    const split = readClientHello(Buffer.concat(records));
    assert.deepEqual(split, { kind: "hello", sni: "shop.example.com" });
    assert.deepEqual(detectProtocol("tls", hello, false), { kind: "tls", sni: "shop.example.com" });
    assert.deepEqual(detectProtocol("auto", hello, false), {
      kind: "tls",
      sni: "shop.example.com",
    });
  });

  test("may name none", async () => {
    assert.deepEqual(readClientHello(await clientHello("")), { kind: "hello", sni: undefined });
  });

  test("that was tampered with is never more than invalid or unfinished", async () => {
    const hello = await clientHello("a.example.com", { ALPNProtocols: ["h2"] });
    for (let at = 0; at < hello.length; at++) {
      for (const value of [0, 0xff, (hello[at] ?? 0) ^ 0x80]) {
        const bytes = Buffer.from(hello);
        bytes[at] = value;
        const { kind } = readClientHello(bytes);
        assert.ok(["hello", "invalid", "incomplete"].includes(kind));
      }
    }
  });
});
