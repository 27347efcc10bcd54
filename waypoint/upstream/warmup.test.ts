import assert from "node:assert/strict";
import { test } from "node:test";
import { warmth } from "./warmup.ts";

test("an endpoint's share grows from its minimum to the whole", () => {
  const policy = { kind: "round-robin", warmupMs: 1_000, warmupMinimumPercent: 20 } as const;
  assert.deepEqual(
    [0, 100, 500, 999, 1_000, 5_000].map((ageMs) => warmth(policy, ageMs)),
    [0.2, 0.2, 0.5, 0.999, 1, 1],
  );
  assert.equal(warmth({ kind: "random" }, 0), 1);
  assert.equal(warmth({ ...policy, warmupAggression: 2 }, 250), 0.5);
});
