import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { METRIC_NAMES } from "./metrics.ts";
import { parseOptions } from "./options.ts";

test("without options everything is measured, three times", () => {
  assert.deepEqual(parseOptions([]), {
    seconds: 3,
    rounds: 3,
    modes: ["direct", "plain", "hbone"],
    placements: ["cross-node", "same-node"],
    metrics: METRIC_NAMES,
    peer: undefined,
    json: resolve("bench-results/l4.json"),
  });
});

test("metrics are chosen by the beginnings of their names", () => {
  const chosen = parseOptions(["--metrics", "rr1000_p,bulk_1_gbps"]);
  assert.deepEqual(chosen?.metrics, [
    "bulk_1_gbps",
    "rr1000_p50_ms",
    "rr1000_p90_ms",
    "rr1000_p99_ms",
  ]);
});

test("help is no error", () => {
  assert.equal(parseOptions(["-h"]), undefined);
});

for (const [args, message] of [
  [["--modes", "direct,HBONE"], /--modes does not know "HBONE"/],
  [["--rounds", "0"], /--rounds 0: it takes a whole number from 1 to 20/],
  [["--peer", "/bin/true"], /--peer \/bin\/true: it takes ztunnel=PATH/],
  [["--peer", "ztunnel=/nowhere"], /\/nowhere is no program/],
  [["--colour"], /Unknown option '--colour'/],
] as const) {
  test(`${args.join(" ")} is refused with the reason`, () => {
    assert.throws(() => parseOptions(args), { code: "BAD_OPTION", message });
  });
}
