/** The command line and the table of the bench; the bench itself needs a cluster. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesBenchResult } from "./bench.ts";
import { parseOptions } from "./options.ts";
import { formatResult } from "./report.ts";

test("counts are numbers from 1 on, and the rest has defaults", () => {
  const options = parseOptions(["--pods", "300", "--rate", "20"]);
  assert.deepEqual(
    { ...options, json: undefined },
    {
      pods: 300,
      services: 1_000,
      policies: 500,
      nodes: 50,
      rate: 20,
      seconds: 30,
      json: undefined,
    },
  );
  assert.equal(parseOptions(["--help"]), undefined);
  for (const wrong of [["--pods", "0"], ["--rate", "x"], ["--unknown"]]) {
    assert.throws(() => parseOptions(wrong), { code: "BAD_OPTION" });
  }
});

test("the table tells the figures that have a bar", () => {
  const times = { p50Ms: 20, p99Ms: 123.45, maxMs: 200 };
  const result: KubernetesBenchResult = {
    loadSeconds: 60,
    startSeconds: 3.2,
    fullSync: { seconds: 1, bytes: 2 ** 20, resources: 11_500 },
    churn: {
      changes: 1_500,
      heartbeats: 1_500,
      changesPerSecond: 50,
      fromRequest: times,
      fromAnswer: times,
      bytesEach: 300,
      resourcesPushed: 1_500,
    },
    istiod: {
      rssMbStarted: 200,
      rssMbPeak: 321,
      rssMbAfterwards: 250,
      cpuSecondsStart: 4,
      cpuPercentChurn: 20,
      cpuPercentIdle: 1,
    },
  };
  const table = formatResult(result);
  assert.match(table, /stored to applied +p50 20\.0 ms, p99 123\.5 ms/);
  assert.match(table, /peak +321 MB/);
});
