import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Backoff } from "./backoff.ts";

const options = { initialMs: 10, maxMs: 100 };
const take = (backoff: Backoff, count: number) =>
  Array.from({ length: count }, () => backoff.next());

test("a step is twice the one before it, up to the largest", () => {
  assert.deepEqual(take(new Backoff(options, () => 1), 6), [10, 20, 40, 80, 100, 100]);
});

test("a factor of one's own takes the place of two", () => {
  assert.deepEqual(take(new Backoff({ ...options, factor: 3 }, () => 1), 4), [10, 30, 90, 100]);
});

test("after a reset the first step comes again", () => {
  const backoff = new Backoff(options, () => 1);
  take(backoff, 5);
  backoff.reset();
  assert.deepEqual(take(backoff, 2), [10, 20]);
});

test("a delay is anything from half of its step to the whole of it", () => {
  const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.array(uniform, { minLength: 1, maxLength: 12 }), (throws) => {
      const dice = [...throws];
      const backoff = new Backoff(options, () => dice.shift() ?? 0);
      for (const [round] of throws.entries()) {
        const step = Math.min(options.initialMs * 2 ** round, options.maxMs);
        const delayMs = backoff.next();
        assert.ok(delayMs >= step / 2 && delayMs <= step, `${delayMs} of ${step}`);
      }
    }),
  );
});
