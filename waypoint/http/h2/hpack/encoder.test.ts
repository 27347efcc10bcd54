import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { RFC_EXAMPLES } from "./rfc-fixtures.ts";

const LIMITS = { tableBytes: 4_096, headerBytes: 1 << 20, headerCount: 10_000 };

const hexOf = (block: Uint8Array): string => Buffer.from(block).toString("hex");

/** Encodes and decodes, and fails if anything is lost. */
class Pair {
  readonly encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(LIMITS);

  send(...flat: readonly string[]): Uint8Array {
    const block = this.encoder.encode(flat);
    assert.deepEqual(this.#decoder.decode(block), { flat, tooLarge: false });
    return block;
  }
}

describe("what is sent", () => {
  test("is as short as in the examples of RFC 7541, C.4", () => {
    const { blocks = [] } = RFC_EXAMPLES.find(({ name }) => name === "C.4") ?? {};
    assert.equal(blocks.length, 3);
    const pair = new Pair();
    for (const [hex, ...fields] of blocks) {
      const flat = fields.flatMap((field) => field.match(/^(.[^:]*): (.*)$/)?.slice(1) ?? []);
      assert.equal(hexOf(pair.send(...flat)), hex.replaceAll(" ", ""));
    }
  });

  test("is one byte per field where it repeats", () => {
    const pair = new Pair();
    const fields = [":status", "200", "server", "x", "content-type", "application/grpc", "y", "z"];
    pair.send(...fields);
    assert.equal(pair.send(...fields).length, 4);
  });

  test("finds the same value under several names", () => {
    const pair = new Pair();
    const fields = ["a", "1", "b", "1", "c", "1", "a", "2", "b", "2"];
    pair.send(...fields);
    assert.equal(pair.send(...fields).length, 5);
  });

  test("has any string in it that one byte per character can be", () => {
    const pair = new Pair();
    const all = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
    for (const character of all) pair.send("x", character, "x", character.repeat(200));
    pair.send("x", all.join(""), "", "", "y", "", "z", "0".repeat(100_000));
    for (const length of [23, 24, 25, 47, 48, 49, 126, 127, 128]) {
      pair.send("x", "0".repeat(length), "x", "Z".repeat(length));
    }
  });

  test("has a question mark for any other character", () => {
    const decoder = new HpackDecoder(LIMITS);
    const flat = ["x", "a\u010ab", "y", "\u20ac".repeat(40), "z", "\u20ac".repeat(130)];
    const expected = ["x", "a?b", "y", "?".repeat(40), "z", "?".repeat(130)];
    assert.deepEqual(decoder.decode(new HpackEncoder().encode(flat)).flat, expected);
  });

  test("may be kept: the next block is not written over it", () => {
    const encoder = new HpackEncoder();
    const one = encoder.encode(["a", "1"]);
    const hex = hexOf(one);
    encoder.encode(["b", "2"]);
    assert.equal(hexOf(one), hex);
  });
});

describe("no table is given", () => {
  const first = (name: string, value: string) => (new Pair().send(name, value)[0] ?? 0) & 0xf0;
  const NEVER = 0x10;
  const PLAIN = 0x00;
  const ADDED = 0x40;

  test("a secret, and no other hop may", () => {
    for (const name of ["authorization", "proxy-authorization", "set-cookie"]) {
      assert.equal(first(name, "something that is secret"), NEVER, name);
    }
    assert.equal(first("cookie", "id=1234"), NEVER);
    assert.equal(first("cookie", "session=0123456789abcdef") & 0xc0, ADDED);
  });

  test("what differs from message to message", () => {
    for (const name of ["content-length", "x-request-id", "traceparent", "etag"]) {
      assert.equal(first(name, "1"), PLAIN, name);
    }
    assert.equal(first(":path", "/a?q=0123456789012345678901234567890"), PLAIN);
    assert.equal(first(":path", "/a?q=1") & 0xc0, ADDED);
  });

  test("what would take more than half of it", () => {
    assert.equal(first("x", "v".repeat(2_016)), PLAIN);
    assert.equal(first("x", "v".repeat(2_015)) & 0xc0, ADDED);
  });

  test("any name whose values turn out not to repeat, while others stay in it", () => {
    const pair = new Pair();
    const fields = ["server", "a server", "x-region", "a region"];
    let repeated = 0;
    for (let i = 0; i < 1_000; i++) {
      pair.send("x-user", `user ${i}`);
      if (pair.send(...fields).length <= 4) repeated++;
    }
    assert.ok(repeated >= 998, `${repeated} of 1,000`);
    for (let i = 0; i < 40; i++) pair.send("x-user", "now it repeats");
    assert.equal(pair.send("x-user", "now it repeats").length, 1);
  });
});

test("a value that is used again makes room for others of its name", () => {
  const pair = new Pair();
  for (let i = 0; i < 200; i++) {
    pair.send("x-user", `user ${i}`);
    assert.equal(pair.send("x-user", `user ${i}`).length, 1);
  }
});

describe("the table", () => {
  const fields = ["a", "1", "b", "2", "c", "3"];

  test("is emptied and gone without where the peer allows none", () => {
    const pair = new Pair();
    pair.send(...fields);
    pair.encoder.setMaxTableBytes(0);
    assert.match(hexOf(pair.send(...fields)), /^2000/);
    assert.match(hexOf(pair.send(...fields)), /^00/);
  });

  test("says what it was in between", () => {
    const pair = new Pair();
    pair.send(...fields);
    pair.encoder.setMaxTableBytes(40);
    pair.encoder.setMaxTableBytes(100);
    assert.match(hexOf(pair.send()), /^3f093f45$/);
    pair.encoder.setMaxTableBytes(40);
    pair.encoder.setMaxTableBytes(102);
    assert.match(hexOf(pair.send(...fields)), /^3f093f47/);
    assert.equal(pair.send(...fields).length, 3, "it says so once");
  });

  test("takes no more than 4,096 bytes, and says nothing of what does not change", () => {
    const pair = new Pair();
    pair.encoder.setMaxTableBytes(65_536);
    assert.equal(pair.send().length, 0);
    for (let i = 0; i < 3_000; i++) pair.send(`name ${i}`, `value ${i}`, "server", "x");
    assert.ok(pair.send("server", "x").length <= 2);
  });

  test("still gives a value to one name when another's is dropped", () => {
    const pair = new Pair();
    pair.encoder.setMaxTableBytes(70);
    pair.send("a", "1", "b", "1", "c", "2");
    assert.equal(pair.send("b", "1").length, 1);
  });

  test("goes on with names beyond those it remembers", () => {
    const pair = new Pair();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 400; i++) pair.send(`name-${i}`, `${round % 2}`);
    }
    pair.send("in-table", "1");
    for (let i = 0; i < 400; i++) pair.send(`other-${i}`, "too long for it".repeat(200));
    assert.equal(hexOf(pair.send("in-table", "2")), "7e0132");
  });
});
