import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageReader, type ReadFault } from "./message-reader.ts";

/** Reads one chunked body, given in these pieces. */
function readChunked(pieces: readonly string[]) {
  const chunks: string[] = [];
  const faults: string[] = [];
  let ended = false;
  const reader = new MessageReader(
    {
      onHeadBegun: () => undefined,
      onHead: () => reader.expectBody({ kind: "chunked" }),
      onBody: (chunk) => chunks.push(chunk.toString("latin1")) > 0,
      onBodyEnd: () => {
        ended = true;
      },
      onFault: ({ message }: ReadFault) => faults.push(message),
    },
    { headerBytes: 1_000, headerCount: 10 },
  );
  reader.push(Buffer.from("POST / HTTP/1.1\r\n\r\n"));
  for (const piece of pieces) reader.push(Buffer.from(piece));
  return { chunks, faults, ended, rest: reader.hasHeld };
}

test("a body of single bytes is handed over as one piece per read", () => {
  const text = "0123456789".repeat(100);
  const body = [...text].map((each) => `1\r\n${each}\r\n`).join("");
  const whole = readChunked([`${body}0\r\n\r\n`]);
  assert.deepEqual(whole, { chunks: [text], faults: [], ended: true, rest: false });
  const halves = readChunked([body.slice(0, 1_001), `${body.slice(1_001)}0\r\n\r\n`]);
  assert.equal(halves.chunks.join(""), text);
  assert.equal(halves.chunks.length, 2);
});

test("what comes before a fault is handed over, what comes behind the end waits", () => {
  const faulty = readChunked(["3\r\nabc\r\n2\r\nde\r\nzz"]);
  assert.deepEqual(faulty.chunks, ["abcde"]);
  assert.equal(faulty.faults.length, 1);
  assert.equal(readChunked(["3\r\nabc\r\n0\r\n\r\nGET"]).rest, true);
});

test("large chunks are handed over where they are", () => {
  const large = "x".repeat(5_000);
  const { chunks } = readChunked([`1\r\na\r\n1388\r\n${large}\r\n1\r\nb\r\n0\r\n\r\n`]);
  assert.deepEqual(chunks, ["a", `${large}b`]);
});
