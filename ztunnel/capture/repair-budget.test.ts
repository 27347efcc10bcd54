import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { REPAIR_BURST, REPAIR_INTERVAL_MS } from "./limits.ts";
import { RepairBudget } from "./repair-budget.ts";

describe("the budget of repairs", () => {
  it("gives a burst at once, then one per interval, and forgets in peace", () => {
    let now = 1_000;
    const budget = new RepairBudget(() => now);
    for (let i = 0; i < REPAIR_BURST; i++) assert.equal(budget.take(), 0);
    assert.equal(budget.isStrained, false, "all of it could be done at once");
    assert.equal(budget.take(), REPAIR_INTERVAL_MS);
    assert.equal(budget.isStrained, true);
    now += REPAIR_INTERVAL_MS - 1;
    assert.equal(budget.take(), 1);
    now += 1;
    assert.equal(budget.take(), 0);
    assert.equal(budget.take(), REPAIR_INTERVAL_MS);
    now += REPAIR_BURST * REPAIR_INTERVAL_MS;
    assert.equal(budget.isStrained, false);
    for (let i = 0; i < REPAIR_BURST; i++) assert.equal(budget.take(), 0);
  });

  it("never gives more than a burst and one per interval, however it is asked", () => {
    const waits = fc.array(fc.integer({ min: 0, max: 2 * REPAIR_INTERVAL_MS }), { maxLength: 200 });
    fc.assert(
      fc.property(waits, (pauses) => {
        let now = 0;
        let given = 0;
        const budget = new RepairBudget(() => now);
        for (const pause of pauses) {
          now += pause;
          const waitMs = budget.take();
          assert.ok(waitMs >= 0 && waitMs <= REPAIR_INTERVAL_MS);
          if (waitMs === 0) given++;
          assert.ok(given <= REPAIR_BURST + now / REPAIR_INTERVAL_MS);
        }
      }),
    );
  });
});
