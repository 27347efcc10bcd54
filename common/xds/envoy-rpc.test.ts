import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "./external-auth-rpc.ts";
import { shouldRateLimit } from "./rate-limit-rpc.ts";

/** Bytes as Envoy's own definitions have them, written down by hand. */
function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

test("an authorizer's refusal is read by Envoy's field numbers", () => {
  // status.code 7; denied_response.status.code 403, headers[0] { header { "a" "b" } append true }
  const response = bytes("0a02 0807 1213 0a03 089303 120c 0a06 0a0161 120162 1202 0801");
  assert.deepEqual(check.responseDeserialize(response), {
    allowed: false,
    code: 7,
    httpStatus: 403,
    headers: [{ name: "a", value: "b", how: "add" }],
    body: "",
  });
});

test("an authorizer's consent is read by Envoy's field numbers", () => {
  // ok_response: headers[0] { "a" "b" }, headers_to_remove "C", response_headers_to_add { "a" "b" }
  const response = bytes("1a17 1208 0a06 0a0161 120162 2a0143 3208 0a06 0a0161 120162");
  assert.deepEqual(check.responseDeserialize(response), {
    allowed: true,
    requestHeaders: [{ name: "a", value: "b", how: "set" }],
    removedHeaders: ["c"],
    responseHeaders: [{ name: "a", value: "b", how: "add" }],
  });
});

test("what a rate limit service is asked has Envoy's field numbers", () => {
  const request = { domain: "d", entries: [{ key: "k", value: "v" }] };
  const wanted = bytes("0a0164 1208 0a06 0a016b 120176 1801");
  assert.deepEqual(shouldRateLimit.requestSerialize(request), wanted);
});

test("what a rate limit service answers is read by Envoy's field numbers", () => {
  // overall_code OVER_LIMIT; statuses[0] { code 2, limit { 5 per MINUTE }, remaining 1, reset 9 s }
  const response = bytes("0802 120e 0802 1204 0805 1002 1801 2202 0809 2a01 78");
  assert.deepEqual(shouldRateLimit.responseDeserialize(response), {
    overLimit: true,
    state: { requestsPerUnit: 5, unitSeconds: 60, remaining: 1, resetSeconds: 9 },
    responseHeaders: [],
    requestHeaders: [],
    body: "x",
  });
  assert.throws(() => shouldRateLimit.responseDeserialize(bytes("0800")), /neither OK nor/);
});
