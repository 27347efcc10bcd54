import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateUpdate } from "#common/mesh-state/proxy-state.ts";
import { policy, update } from "#common/mesh-state/test-records.ts";
import { STATE_SLICE_MS } from "../limits.ts";
import { StateQueue } from "./state-queue.ts";

test("pieces that arrive together are applied in order, in slices of bounded time", async () => {
  const slices: (() => void)[] = [];
  const applied: string[] = [];
  let nowMs = 0;
  const apply = ({ policies }: StateUpdate): void => {
    applied.push(policies[0]?.name ?? "");
    nowMs += STATE_SLICE_MS / 2;
  };
  const schedule = (slice: () => void): void => void slices.push(slice);
  const queue = new StateQueue({ apply, schedule, now: () => nowMs });
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) queue.push(update({ policies: [policy(name)] }));
  assert.deepEqual(applied, [], "not within the turn in which they arrive");
  let idle = false;
  void queue.whenIdle().then(() => {
    idle = true;
  });
  for (const expected of [2, 4, 5]) {
    assert.equal(slices.length, 1);
    slices.shift()?.();
    await Promise.resolve();
    assert.equal(idle, expected === names.length);
    assert.equal(applied.length, expected);
  }
  queue.push(update({ policies: [policy("f")] }));
  slices.shift()?.();
  assert.deepEqual(applied, [...names, "f"]);
  assert.equal(slices.length, 0);
});
