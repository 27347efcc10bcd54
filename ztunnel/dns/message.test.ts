import assert from "node:assert/strict";
import { describe, test } from "node:test";
import dnsPacket from "dns-packet";
import { makeAnswer, makeQuery, opt } from "./dns-fixtures.ts";
import { readAddressQuery, readHeader, readQuestion } from "./message.ts";

function edited(message: Buffer, edit: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(message);
  edit(bytes);
  return bytes;
}

describe("a query for addresses", () => {
  test("is read with its name in lower case, its family and its EDNS size", () => {
    const query = makeQuery({ name: "Web.SHOP.svc", type: "AAAA", additionals: opt(4096, true) });
    const read = readAddressQuery(query);
    assert.deepEqual(read?.labels, ["web", "shop", "svc"]);
    assert.equal(read?.family, "ipv6");
    assert.deepEqual(read?.edns, { udpPayloadBytes: 4096, dnssecOk: true });
    assert.equal(read?.header.id, 4711);
    assert.equal(read?.questionEnd, 12 + 14 + 4);
  });

  test("takes at least 512 bytes, whatever its EDNS says", () => {
    const read = readAddressQuery(makeQuery({ name: "web", additionals: opt(100) }));
    assert.equal(read?.edns?.udpPayloadBytes, 512);
  });
});

describe("everything else is not taken for a query for addresses", () => {
  const plain = makeQuery({ name: "web.shop" });
  const cases: readonly (readonly [string, Buffer])[] = [
    ["another type", makeQuery({ name: "web.shop", type: "HTTPS" })],
    ["an answer", makeAnswer(plain, "10.0.0.1")],
    ["another class", edited(plain, (bytes) => bytes.writeUInt16BE(3, bytes.length - 2))],
    ["an update", edited(plain, (bytes) => bytes.writeUInt16BE(5 << 11, 2))],
    ["a notification", edited(plain, (bytes) => bytes.writeUInt16BE(4 << 11, 2))],
    ["a truncated query", edited(plain, (bytes) => bytes.writeUInt16BE(0x0300, 2))],
    ["no question", edited(plain, (bytes) => bytes.writeUInt16BE(0, 4))],
    [
      "two questions",
      dnsPacket.encode({
        type: "query",
        questions: [
          { name: "a", type: "A" },
          { name: "b", type: "A" },
        ],
      }),
    ],
    ["an update's prerequisites", edited(plain, (bytes) => bytes.writeUInt16BE(1, 6))],
    ["bytes behind the question", Buffer.concat([plain, Buffer.of(0)])],
    ["an additional record that is not there", edited(plain, (b) => b.writeUInt16BE(1, 10))],
    [
      "a signature",
      makeQuery({
        name: "web",
        additionals: [{ type: "TXT", name: "key", ttl: 0, data: "signature" }],
      }),
    ],
    [
      "an EDNS version of the future",
      edited(makeQuery({ name: "web", additionals: opt(512) }), (bytes) => {
        bytes[bytes.length - 5] = 1;
      }),
    ],
    ["a compressed name", Buffer.concat([plain.subarray(0, 12), Buffer.of(0xc0, 12, 0, 1, 0, 1)])],
    ["a label of 64 bytes", makeRaw(["a".repeat(64)])],
    ["a label with a dot in it", makeRaw(["we.b"])],
    ["a label with a zero in it", makeRaw(["we\0b"])],
    ["a label beyond ASCII", makeRaw(["w\u00e4b"])],
    ["a name that is too long", makeRaw(Array.from({ length: 5 }, () => "a".repeat(60)))],
    ["half a question", plain.subarray(0, plain.length - 3)],
    ["half a name", plain.subarray(0, 15)],
    ["nothing", Buffer.alloc(0)],
  ];
  for (const [what, message] of cases) {
    test(what, () => assert.equal(readAddressQuery(message), undefined));
  }
});

describe("a question", () => {
  test("of any type and class is read where it is well formed", () => {
    const question = readQuestion(makeQuery({ name: "_http._tcp.web", type: "SRV" }));
    assert.deepEqual(question?.labels, ["_http", "_tcp", "web"]);
    assert.equal(question?.type, 33);
    assert.equal(question?.class, 1);
  });

  test("about the root has no labels", () => {
    assert.deepEqual(readQuestion(makeQuery({ name: ".", type: "NS" }))?.labels, []);
  });

  test("with an odd name keeps its place and has no labels", () => {
    const question = readQuestion(makeRaw(["a b"]));
    assert.equal(question?.labels, undefined);
    assert.equal(question?.end, 12 + 5 + 4);
  });
});

test("a header is read from twelve bytes and not from eleven", () => {
  const header = Buffer.from("0102852400030004000500060708", "hex");
  assert.equal(readHeader(header.subarray(0, 11)), undefined);
  assert.deepEqual(readHeader(header), {
    id: 0x0102,
    flags: 0x8524,
    isResponse: true,
    opcode: 0,
    rcode: 4,
    questions: 3,
    answers: 4,
    authorities: 5,
    additionals: 6,
  });
});

/** A query for the addresses of a name given as raw labels. */
function makeRaw(labels: readonly string[]): Buffer {
  const name = labels.flatMap((label) => [
    Buffer.of(Buffer.byteLength(label, "latin1")),
    Buffer.from(label, "latin1"),
  ]);
  const header = Buffer.from("000101000001000000000000", "hex");
  return Buffer.concat([header, ...name, Buffer.of(0, 0, 1, 0, 1)]);
}
