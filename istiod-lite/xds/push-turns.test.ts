import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { SMALL_RESPONSE_RESOURCES } from "../limits.ts";
import { PushTurns, type Release } from "./push-turns.ts";

const BIG = SMALL_RESPONSE_RESOURCES + 1;

/** Someone who wants to send once, again and again until there is a place. */
function wanting(turns: PushTurns, size: number, order: string[], name: string) {
  const who = {};
  let release: Release | undefined;
  const ask = (): void => {
    release = turns.take(who, size, ask);
    if (release !== undefined) order.push(name);
  };
  ask();
  return { done: () => release?.(), leave: () => turns.leave(who) };
}

test("as much as there is room for is under way; the rest comes in the order of asking", async () => {
  const turns = new PushTurns(2 * BIG);
  const order: string[] = [];
  const all = ["a", "b", "c", "d", "e"].map((name) => wanting(turns, BIG, order, name));
  assert.deepEqual(order, ["a", "b"]);
  assert.equal(turns.waiting, 3);
  all[1]?.done();
  await turn();
  await turn();
  assert.deepEqual(order, ["a", "b", "c"]);
  for (const each of [0, 2, 3, 4]) {
    all[each]?.done();
    await turn();
    await turn();
  }
  assert.deepEqual(order, ["a", "b", "c", "d", "e"]);
  assert.deepEqual([turns.inFlight, turns.waiting], [0, 0]);
});

test("a small response never waits", () => {
  const turns = new PushTurns(BIG);
  const order: string[] = [];
  wanting(turns, BIG, order, "big");
  wanting(turns, BIG, order, "next");
  wanting(turns, SMALL_RESPONSE_RESOURCES, order, "small");
  assert.deepEqual(order, ["big", "small"]);
});

test("who leaves while waiting holds up nobody, and a place is given back once", async () => {
  const turns = new PushTurns(BIG);
  const order: string[] = [];
  const [first, second] = ["a", "b"].map((name) => wanting(turns, BIG, order, name));
  wanting(turns, BIG, order, "c");
  second?.leave();
  first?.done();
  first?.done();
  await turn();
  await turn();
  assert.deepEqual(order, ["a", "c"]);
  assert.equal(turns.inFlight, BIG);
});

test("what is larger than everything has its turn alone", async () => {
  const turns = new PushTurns(BIG);
  const order: string[] = [];
  const small = wanting(turns, BIG, order, "a");
  const huge = wanting(turns, 10 * BIG, order, "huge");
  wanting(turns, BIG, order, "b");
  small.done();
  await turn();
  await turn();
  assert.deepEqual(order, ["a", "huge"]);
  huge.done();
  await turn();
  await turn();
  assert.deepEqual(order, ["a", "huge", "b"]);
});
