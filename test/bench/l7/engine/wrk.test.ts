import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWrk } from "./wrk.ts";

test("wrk's report is read, its units and its failures included", () => {
  const text = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Latency Distribution
     50%  850.00us
     75%    1.90ms
     90%    2.50ms
     99%    1.02s
  53210 requests in 2.00s, 62.10MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec:  26605.12
Transfer/sec:     31.05MB
`;
  assert.deepEqual(parseWrk(text), {
    requestsPerSecond: 26_605.12,
    p50Ms: 0.85,
    p99Ms: 1_020,
    failures: 17,
  });
});
