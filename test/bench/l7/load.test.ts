import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseLatencies, parseRequests } from "./load.ts";

const REPORT = `finished in 2.00s, 995.00 req/s, 187.53KB/s
requests: 1990 total, 2000 started, 1990 done, 1990 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1990 2xx, 0 3xx, 0 4xx, 0 5xx
`;
const LOG = Array.from({ length: 100 }, (_, i) => `1763724512000${100 + i}\t200\t${(i + 1) * 10}`);

describe("h2load's report", () => {
  test("says how many requests were answered", () => {
    assert.equal(parseRequests(REPORT), 1_990);
  });

  test("of failed requests, or other answers, is no measurement", () => {
    const failed = REPORT.replace("0 failed", "3 failed");
    assert.throws(() => parseRequests(failed), { code: "LOAD_FAILED" });
    const refused = REPORT.replace("1990 2xx, 0 3xx, 0 4xx", "1980 2xx, 0 3xx, 10 4xx");
    assert.throws(() => parseRequests(refused), { code: "LOAD_FAILED" });
    assert.throws(() => parseRequests("h2load: not a word"), { code: "LOAD_FAILED" });
  });

  test("has the latency of each request in its log", () => {
    assert.deepEqual(parseLatencies(`${REPORT}${LOG.join("\n")}\n`), { p50Ms: 0.5, p99Ms: 0.99 });
  });
});
