import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findClusters } from "#meshctl/local/find-clusters.ts";
import { METRIC_NAMES } from "./metrics.ts";
import type { Report, Row } from "./report.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
/** Of a minute on a machine with one more thing to do. */
const BENCH_TIMEOUT_MS = 300_000;

const title =
  "the bench measures direct and HBONE in one run, writes its rows and leaves no cluster";
test(title, { timeout: 1.1 * BENCH_TIMEOUT_MS }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "bench-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const json = join(dir, "l4.json");
  const choice = ["--modes", "direct,hbone", "--placements", "cross-node", "--json", json];
  const args = [MAIN, "--seconds", "1", "--rounds", "1", ...choice];
  const running = promisify(execFile)(process.execPath, args, { timeout: BENCH_TIMEOUT_MS });
  const pid = running.child.pid;
  const { stdout } = await running;
  const { rows }: Report = JSON.parse(readFileSync(json, "utf8"));
  const hbone = rows.filter((row) => row.mode === "hbone");
  assert.deepEqual(
    hbone.map(({ metric }) => metric),
    METRIC_NAMES,
  );
  const failed = rows.filter((row: Row) => row.value === null).map(({ metric }) => metric);
  assert.deepEqual(failed, [], stdout);
  assert.ok(hbone.every(({ value }) => value !== null && value > 0));
  const bulk = hbone.find(({ metric }) => metric === "bulk_1_gbps");
  assert.ok(bulk?.ratioToDirect && bulk.ratioToDirect > 0 && bulk.ratioToPeer === null);
  assert.match(stdout, /rss_1000_mb .*<= 130: (met|NOT MET)/);
  const left = (await findClusters()).map(({ settings }) => settings.name);
  assert.ok(!left.some((name) => name.startsWith(`test-${pid}-`)), left.join(", "));
});
