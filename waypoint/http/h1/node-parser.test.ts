import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadParser } from "./node-parser.ts";

test("this Node's parser reads a head, stops behind it, and takes the next", () => {
  const parser = HeadParser.of("REQUEST");
  for (const minor of [1, 0, 1]) {
    const head = `GET /a?b HTTP/1.${minor}\r\nHost: x\r\nContent-Length: 3\r\n\r\n`;
    assert.equal(parser.parse(Buffer.from(`${head}abcGET / HTTP/1.1\r\n\r\n`)), head.length);
    const { method, target, fields } = parser.head;
    assert.deepEqual([method, target, parser.head.minor], ["GET", "/a?b", minor]);
    assert.deepEqual(fields, ["Host", "x", "Content-Length", "3"]);
  }
});

test("more fields than the parser hands over at once are all there", () => {
  const parser = HeadParser.of("REQUEST");
  for (const count of [31, 32, 33, 64, 100]) {
    const fields = Array.from({ length: count }, (_, i) => `x-${i}: ${i}\r\n`).join("");
    const head = `GET /many HTTP/1.1\r\n${fields}\r\n`;
    assert.equal(parser.parse(Buffer.from(head)), head.length);
    assert.equal(parser.head.fields.length, count * 2);
    assert.equal(parser.head.target, "/many");
    assert.equal(parser.head.fields.at(-1), String(count - 1));
  }
});

test("a response's head is read alike, also of one that ends with its connection", () => {
  const parser = HeadParser.of("RESPONSE");
  for (const head of ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 404 \r\nx: y\r\n\r\n"]) {
    assert.equal(parser.parse(Buffer.from(`${head}rest`)), head.length);
    assert.equal(parser.head.status, Number(head.slice(9, 12)));
  }
});

/** The fault comes after the parser has handed over the first fields. */
const MANY = `GET / HTTP/1.1\r\n${"a: b\r\n".repeat(40)}a: b\n\r\n\r\n`;

test("what is no head is refused with a reason, and the next one is read", () => {
  const parser = HeadParser.of("REQUEST");
  for (const text of [
    "GET / HTTP/1.1\r\nx y\r\n\r\n",
    "\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\n",
    "x",
    MANY,
  ]) {
    const reason = parser.parse(Buffer.from(text));
    assert.ok(typeof reason === "string", text);
    if (text === MANY) assert.match(reason, /Missing expected CR/);
    const good = "GET / HTTP/1.1\r\n\r\n";
    assert.equal(parser.parse(Buffer.from(good)), good.length);
  }
});
