import assert from "node:assert/strict";
import { test } from "node:test";
import { planRound } from "./plan.ts";

const show = (round: number, withPeer = true) =>
  planRound(["direct", "plain", "hbone"], withPeer, round).map((s) => `${s.contender} ${s.mode}`);

test("in a round, ours and the peer follow each other in each mode, and take turns to be first", () => {
  assert.deepEqual(show(0), [
    "direct direct",
    "ours plain",
    "peer plain",
    "ours hbone",
    "peer hbone",
  ]);
  assert.deepEqual(show(1), [
    "peer hbone",
    "ours hbone",
    "peer plain",
    "ours plain",
    "direct direct",
  ]);
});

test("without a peer only ours is measured beside direct", () => {
  assert.deepEqual(show(0, false), ["direct direct", "ours plain", "ours hbone"]);
});
