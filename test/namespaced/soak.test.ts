/** D4 79: one minute of what `npm run soak` does for as long as it is told. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, formatResult } from "#test/soak/report.ts";
import { floorGrowth, growthOf } from "#test/soak/resources.ts";
import { runSoak } from "#test/soak/soak.ts";

const SECONDS = 60;
/** Two cores carry it beside another test. */
const PER_SECOND = 40;
/** Of a machine that is slow to start a mesh and to see its last round through. */
const TIMEOUT_MS = 300_000;

test("D4 79: under churn no allowed call fails, no denied one passes, and nothing grows", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const result = await runSoak({ seconds: SECONDS, perSecond: PER_SECOND }, () => undefined);
  t.diagnostic(formatResult(result));
  assert.deepEqual(faultsOf(result), []);
  assert.ok(result.renewals > 0, "no certificate was renewed");
});

test("growth is how far the floor of the process that ran last rose", () => {
  assert.equal(floorGrowth([]), 0);
  assert.equal(floorGrowth([3, 9, 4, 9, 9, 9, 8, 5, 9]), 2);
  const at = (seconds: number, pid: number, rssMb: number) => {
    return { seconds, pid, rssMb, program: "a", descriptors: 7 };
  };
  const [growth] = growthOf([at(0, 1, 900), at(9, 2, 50), at(15, 2, 80), at(20, 2, 60)], 5);
  assert.equal(growth?.rssGrowthMb, 10);
  assert.equal(growth?.descriptorGrowth, 0);
});

test("a soak with one failed call, or with a leak, is no good one", () => {
  const load = { name: "a", calls: 9, good: 8, excused: 0, failed: 0, failures: {} };
  const churn = { pods: 1, policies: 1, labels: 1, ztunnels: 1, istiods: 1 };
  const growth = {
    program: "z",
    samples: 30,
    rssMb: 90,
    rssGrowthMb: 1,
    descriptors: 50,
    descriptorGrowth: 0,
  };
  const good = { seconds: 60, loads: [load], churn, renewals: 1, growth: [growth], samples: [] };
  assert.deepEqual(faultsOf(good), []);
  const failed = faultsOf({ ...good, loads: [{ ...load, failed: 1, failures: { reset: 1 } }] });
  assert.match(failed.join(), /a: 1 of 9 failed: {"reset":1}/);
  const leak = { ...growth, rssGrowthMb: 33, descriptorGrowth: 13 };
  assert.equal(faultsOf({ ...good, growth: [leak] }).length, 2);
});
