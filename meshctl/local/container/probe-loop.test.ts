import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import type { Probe } from "#common/kubernetes/objects.ts";
import type { ProbeOutcome } from "./probe-check.ts";
import { ProbeLoop } from "./probe-loop.ts";

/** A container that is probed: what it answers now, how often it was asked, what came of it. */
class Watched {
  readonly verdicts: boolean[] = [];
  looks = 0;
  ok: boolean;
  readonly loop: ProbeLoop;

  constructor(probe: Probe, eager: boolean, ok: boolean) {
    this.ok = ok;
    this.loop = new ProbeLoop({
      probe,
      eager,
      check: () => this.#check(),
      onVerdict: (passing) => void this.verdicts.push(passing),
      onMessage: () => undefined,
    });
  }

  async #check(): Promise<ProbeOutcome> {
    this.looks++;
    return this.ok ? { ok: true } : { ok: false, message: "no" };
  }
}

const watch = (probe: Probe, eager = false, ok = true): Watched => new Watched(probe, eager, ok);

/** Lets time pass in small steps, and what waits for it run. */
async function pass(seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 20; i++) {
    mock.timers.tick(50);
    for (let turns = 0; turns < 4; turns++) await Promise.resolve();
  }
}

describe("a probe", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
  afterEach(() => mock.timers.reset());

  test("looks at once, then every period, and waits first if it is told to", async () => {
    const now = watch({ periodSeconds: 5 });
    const later = watch({ periodSeconds: 5, initialDelaySeconds: 8 });
    await pass(11);
    assert.equal(now.looks, 3);
    assert.equal(later.looks, 1);
    now.loop.stop();
    later.loop.stop();
  });

  test("counts successes and failures in a row", async () => {
    const probe = watch({ periodSeconds: 1, successThreshold: 2, failureThreshold: 3 });
    await pass(0.5);
    assert.deepEqual(probe.verdicts, []);
    await pass(1);
    assert.deepEqual(probe.verdicts, [true]);
    probe.ok = false;
    await pass(2);
    assert.deepEqual(probe.verdicts, [true]);
    await pass(1);
    assert.deepEqual(probe.verdicts, [true, false]);
    probe.loop.stop();
  });

  test("looks more often before its first success, without counting more failures", async () => {
    const probe = watch({ periodSeconds: 10, failureThreshold: 3 }, true, false);
    await pass(25);
    assert.ok(probe.looks > 50);
    assert.deepEqual(probe.verdicts, []);
    await pass(7);
    assert.deepEqual(probe.verdicts, [false]);
    probe.ok = true;
    await pass(0.5);
    assert.deepEqual(probe.verdicts, [false, true]);
    const { looks } = probe;
    await pass(9);
    assert.equal(probe.looks, looks);
    probe.loop.stop();
  });

  test("says nothing after it was stopped", async () => {
    const probe = watch({ periodSeconds: 1 });
    probe.loop.stop();
    await pass(3);
    assert.equal(probe.looks, 0);
  });
});
