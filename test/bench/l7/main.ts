/**
 * `npm run bench:l7`: what a waypoint costs, on the whole path and beside the mesh without one, and
 * how its engines compare with nginx and haproxy.
 */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import {
  describeMachine,
  runBenchCommand,
  stopwatch,
  writeResults,
} from "#test/support/bench-command.ts";
import { runBench, type Sample } from "./bench.ts";
import { contendersOf, UPSTREAM_PORT, upstreamServer } from "./engine/contenders.ts";
import { engineBench, type Summary, summarise } from "./engine/engine-bench.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { buildRows } from "./report.ts";
import { formatEngines, formatTables } from "./table.ts";
import { startTopology } from "./topology.ts";

/** Command and Debian's package. */
const TOOLS = [
  ["nginx", "nginx"],
  ["haproxy", "haproxy"],
  ["wrk", "wrk"],
  ["h2load", "nghttp2-client"],
  ["curl", "curl"],
] as const;
const ENGINE_CONNECTIONS = 64;

const say = stopwatch();

function checkTools(): void {
  const missing = TOOLS.filter(([command]) => {
    try {
      execFileSync("which", [command], { stdio: "ignore" });
      return false;
    } catch {
      return true; // `which` says so by its status.
    }
  });
  if (missing.length === 0) return;
  const commands = missing.map(([command]) => command).join(", ");
  throw new MeshError("TOOLS_MISSING", `missing on this machine: ${commands}`, {
    hint: `apt install ${missing.map(([, name]) => name).join(" ")}`,
  });
}

async function benchEngines(options: BenchOptions): Promise<readonly Summary[]> {
  if (options.engines.length === 0) return [];
  say(`reverse proxies: ${options.engines.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "engine-bench-"));
  try {
    const upstream = upstreamServer(folder, UPSTREAM_PORT);
    const { rounds, seconds } = options;
    const plan = { rounds, seconds, connections: ENGINE_CONNECTIONS };
    return summarise(await engineBench(upstream, contendersOf(options.engines, folder), plan));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function benchPaths(options: BenchOptions): Promise<readonly Sample[]> {
  if (options.cases.length === 0) return [];
  say("starting a cluster of two nodes");
  await using cluster = await startTopology(options.cases);
  return await runBench(cluster, options, say);
}

async function main(options: BenchOptions): Promise<void> {
  checkTools();
  const { seconds, rounds, arrivals } = options;
  const machine = { ...describeMachine(), seconds, rounds, arrivals };
  const samples = await benchPaths(options);
  const engines = await benchEngines(options);
  const rows = buildRows(samples, options);
  const report = { machine, rows, engines, samples };
  writeResults(options.json, report);
  if (rows.length > 0) console.log(formatTables(rows, options));
  if (engines.length > 0) console.log(formatEngines(engines));
  say(`results are in ${options.json}`);
}

await runBenchCommand({ name: "bench:l7", usage: USAGE, parse: parseOptions, run: main });
