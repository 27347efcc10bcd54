import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { WorkQueue } from "./work-queue.ts";

/** A queue whose work ends when the test says so. */
function stepping(concurrency: number) {
  const started: string[] = [];
  const finishers = new Map<string, () => void>();
  const queue = new WorkQueue(concurrency, (key) => {
    started.push(key);
    return new Promise((resolve) => finishers.set(key, resolve));
  });
  const finish = async (key: string) => {
    finishers.get(key)?.();
    await turn();
  };
  return { queue, started, finish };
}

describe("the work queue", () => {
  it("works on no more keys at once than it may, in the order they came", async () => {
    const { queue, started, finish } = stepping(2);
    for (const key of ["a", "b", "c"]) queue.add(key);
    assert.deepEqual(started, ["a", "b"]);
    await finish("b");
    assert.deepEqual(started, ["a", "b", "c"]);
  });

  it("works again on a key added while it is worked on, and never twice at once", async () => {
    const { queue, started, finish } = stepping(4);
    queue.add("a");
    queue.add("a");
    queue.add("a");
    assert.deepEqual(started, ["a"]);
    await finish("a");
    assert.deepEqual(started, ["a", "a"]);
    await finish("a");
    assert.deepEqual(started, ["a", "a"]);
  });

  it("does not wait for the delay of a key that is added meanwhile", async () => {
    const { queue, started } = stepping(1);
    queue.addAfter("a", 60_000);
    queue.add("a");
    assert.deepEqual(started, ["a"]);
  });

  it("starts nothing after it was closed, and closes when what runs has ended", async () => {
    const { queue, started, finish } = stepping(1);
    queue.add("a");
    queue.add("b");
    const closed = queue.close();
    queue.add("c");
    await finish("a");
    await closed;
    assert.deepEqual(started, ["a"]);
  });
});
