import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  EndpointHealth,
  isPanic,
  OutlierDetector,
  type OutlierPolicy,
} from "./outlier-detection.ts";
import type { AttemptOutcome } from "./upstream.ts";

const POLICY: OutlierPolicy = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 0,
  splitLocalOriginErrors: false,
  intervalMs: 1_000,
  baseEjectionMs: 10_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};

const status = (code: number): AttemptOutcome => {
  return { kind: "response", status: code, milliseconds: 1 };
};
const LOCAL: AttemptOutcome = { kind: "local-failure", milliseconds: 1 };

/** Notes outcomes at one time; returns whether the endpoint is ejected after them. */
function run(
  policy: Partial<OutlierPolicy>,
  outcomes: readonly AttemptOutcome[],
  size = 4,
): boolean {
  const detector = new OutlierDetector({ ...POLICY, ...policy }, 0);
  const health = new EndpointHealth();
  for (const outcome of outcomes) detector.note(health, outcome, { size, now: 0 });
  return health.state === "ejected";
}

describe("an endpoint is ejected", () => {
  const rows: readonly (readonly [
    string,
    Partial<OutlierPolicy>,
    readonly AttemptOutcome[],
    boolean,
  ])[] = [
    ["after so many 5xx in a row", {}, [500, 502, 599].map(status), true],
    ["not after fewer", {}, [500, 500].map(status), false],
    ["not after more with a success between", {}, [500, 500, 200, 500, 500].map(status), false],
    ["not by what the client did wrong", {}, [400, 404, 429, 499].map(status), false],
    ["by failures of our own, which count as 5xx", {}, [LOCAL, LOCAL, LOCAL], true],
    [
      "not by those that are counted apart",
      { splitLocalOriginErrors: true },
      [LOCAL, LOCAL, LOCAL],
      false,
    ],
    [
      "by those that are counted apart, at their own count",
      { splitLocalOriginErrors: true, consecutiveLocalOriginFailures: 2 },
      [LOCAL, LOCAL],
      true,
    ],
    [
      "by gateway errors at their own count",
      { consecutive5xx: 0, consecutiveGatewayErrors: 2 },
      [502, 504].map(status),
      true,
    ],
    [
      "not by gateway errors with another 5xx between",
      { consecutive5xx: 0, consecutiveGatewayErrors: 2 },
      [502, 500, 504].map(status),
      false,
    ],
    ["not where nobody may be", { maxEjectionPercent: 0 }, [500, 500, 500].map(status), false],
    [
      "as one of several, whatever the share",
      { maxEjectionPercent: 10 },
      [500, 500, 500].map(status),
      true,
    ],
  ];
  for (const [title, policy, outcomes, ejected] of rows) {
    test(title, () => assert.equal(run(policy, outcomes), ejected));
  }
  test("not where it is the only one and not all may be", () => {
    assert.equal(run({ maxEjectionPercent: 99 }, [500, 500, 500].map(status), 1), false);
  });
});

/** An ejected endpoint and the detector that did it. */
function ejected(): { detector: OutlierDetector; health: EndpointHealth } {
  const detector = new OutlierDetector(POLICY, 0);
  const health = new EndpointHealth();
  for (let i = 0; i < 3; i++) detector.note(health, status(500), { size: 4, now: 0 });
  assert.equal(health.state, "ejected");
  return { detector, health };
}

describe("an ejected endpoint", () => {
  test("comes back half-open after its time, and is in after one success", () => {
    const { detector, health } = ejected();
    assert.equal(detector.sweep([health], 9_999), false);
    assert.equal(health.state, "ejected");
    assert.equal(detector.sweep([health], 11_000), true);
    assert.equal(health.state, "half-open");
    health.trying = true;
    assert.equal(detector.note(health, status(200), { size: 4, now: 11_001 }), true);
    assert.deepEqual([health.state, health.trying], ["in", false]);
  });

  test("is out again at the first failure, and for longer", () => {
    const { detector, health } = ejected();
    detector.sweep([health], 11_000);
    detector.note(health, status(503), { size: 4, now: 11_000 });
    assert.equal(health.state, "ejected");
    assert.equal(health.ejectedUntil, 11_000 + 20_000);
  });

  test("may be tried by another request when the one that tried it left", () => {
    const { detector, health } = ejected();
    detector.sweep([health], 11_000);
    health.trying = true;
    detector.note(health, { kind: "unused" }, { size: 4, now: 11_001 });
    assert.deepEqual([health.state, health.trying], ["half-open", false]);
  });

  test("is forgiven, one interval after the other", () => {
    const { detector, health } = ejected();
    detector.sweep([health], 11_000);
    detector.note(health, status(200), { size: 4, now: 11_000 });
    assert.equal(health.ejections, 1);
    detector.sweep([health], 13_000);
    assert.equal(health.ejections, 0);
  });
});

test("never more are out than may be, whatever happens", () => {
  const steps = fc.array(
    fc.record({
      host: fc.integer({ min: 0, max: 9 }),
      code: fc.constantFrom(200, 500),
      later: fc.integer({ min: 0, max: 3_000 }),
    }),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 100 }), (list, maxEjectionPercent) => {
      const detector = new OutlierDetector({ ...POLICY, maxEjectionPercent }, 0);
      const healths = Array.from({ length: 10 }, () => new EndpointHealth());
      let now = 0;
      for (const { host, code, later } of list) {
        now += later;
        detector.sweep(healths, now);
        const health = healths[host];
        if (health?.state === "ejected") continue;
        if (health !== undefined) detector.note(health, status(code), { size: 10, now });
        const out = healths.filter(({ state }) => state === "ejected").length;
        assert.ok(out <= Math.max(1, Math.floor(maxEjectionPercent / 10)) + halfOpen(healths));
      }
    }),
    { numRuns: 100 },
  );
});

/** Those that come back have been counted as in already; they may all fail at once. */
function halfOpen(healths: readonly EndpointHealth[]): number {
  return healths.filter(({ ejections, state }) => state === "ejected" && ejections > 1).length;
}

test("with too few left all are used", () => {
  assert.equal(isPanic({ ...POLICY, minHealthPercent: 50 }, 1, 4), true);
  assert.equal(isPanic({ ...POLICY, minHealthPercent: 50 }, 2, 4), false);
  assert.equal(isPanic(POLICY, 0, 4), false);
});
