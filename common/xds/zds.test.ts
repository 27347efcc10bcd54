import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeZdsAck, decodeZdsHello, decodeZdsRequest } from "./decode-zds.ts";
import { encodeZdsAck, encodeZdsHello, encodeZdsRequest } from "./encode-zds.ts";

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const bytes = (text: string) => Buffer.from(text, "latin1");
const INFO = { name: "web", namespace: "shop", serviceAccount: "sa" };

test("requests have the bytes that Istio's agents and ztunnels use", () => {
  const add = encodeZdsRequest({ kind: "add", uid: "u1", info: INFO });
  assert.equal(latin1(add), "\n\x15\n\x02u1\x12\x0f\n\x03web\x12\x04shop\x1a\x02sa");
  assert.equal(latin1(encodeZdsRequest({ kind: "del", uid: "u1" })), "\x12\x04\x12\x02u1");
  assert.equal(latin1(encodeZdsRequest({ kind: "keep", uid: "u1" })), "*\x04\n\x02u1");
  assert.equal(latin1(encodeZdsRequest({ kind: "snapshot-sent" })), "\x1a\x00");
  assert.equal(latin1(encodeZdsHello()), "\x08\x01");
  assert.equal(latin1(encodeZdsAck("")), "\n\x00");
});

test("every request is read back as it was written", () => {
  const requests = [
    { kind: "add", uid: "u1", info: INFO },
    { kind: "keep", uid: "u1" },
    { kind: "del", uid: "u1" },
    { kind: "snapshot-sent" },
  ] as const;
  for (const request of requests) {
    assert.deepEqual(decodeZdsRequest(encodeZdsRequest(request)), request);
  }
  assert.equal(decodeZdsHello(encodeZdsHello()), 1);
  assert.equal(decodeZdsAck(encodeZdsAck("no such pod")), "no such pod");
});

test("a field that is not known changes nothing", () => {
  // trust_domain (4), which older agents send, and a field 100 of the request itself.
  const add = "\n\x19\n\x02u1\x12\x13\n\x03web\x12\x04shop\x1a\x02sa\x22\x02td";
  const decoded = decodeZdsRequest(bytes(`${add}\xa2\x06\x01x`));
  assert.deepEqual(decoded, { kind: "add", uid: "u1", info: INFO });
});

const REFUSED: Readonly<Record<string, [text: string, why: RegExp]>> = {
  "an unknown payload": ["\xa2\x06\x01x", /no payload that this version knows/],
  nothing: ["", /no payload/],
  "half a message": ["\n\x15\n\x02u1", /cannot parse/],
  "an add without workload_info": ["\n\x04\n\x02u1", /^workload_info of u1/],
  "an add without a uid": ["\n\x02\x12\x00", /uid is missing/],
  "an account without a name": ["\n\x11\n\x02u1\x12\x0b\n\x03web\x12\x04shop", /service account/],
  "a del without a uid": ["\x12\x00", /uid is missing/],
};
for (const [what, [text, why]] of Object.entries(REFUSED)) {
  test(`${what} is refused by name`, () => {
    assert.throws(() => decodeZdsRequest(bytes(text)), { code: "INVALID_RESOURCE", message: why });
  });
}

test("an answer of another kind is no acknowledgement", () => {
  assert.throws(() => decodeZdsAck(bytes("\x12\x00")), { code: "INVALID_RESOURCE" });
});
