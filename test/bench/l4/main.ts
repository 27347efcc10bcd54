/**
 * `npm run bench:l4`: what carrying connections costs, without the mesh, captured, and over HBONE.
 */
import {
  describeMachine,
  runBenchCommand,
  stopwatch,
  writeResults,
} from "#test/support/bench-command.ts";
import { runBench } from "./bench.ts";
import { describeVersions } from "./machine.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { buildRows, type Report } from "./report.ts";
import { formatTables } from "./table.ts";
import { startTopology } from "./topology.ts";

const say = stopwatch();

async function main(options: BenchOptions): Promise<void> {
  const { seconds, rounds } = options;
  const machine = { ...describeMachine(), seconds, rounds };
  say("starting a cluster of two nodes");
  await using cluster = await startTopology();
  const samples = await runBench(cluster, options, say);
  const rows = buildRows(samples, options);
  const report: Report = { machine, versions: describeVersions(options), rows };
  writeResults(options.json, report);
  console.log(formatTables(rows, samples, options));
  say(`results are in ${options.json}`);
}

await runBenchCommand({ name: "bench:l4", usage: USAGE, parse: parseOptions, run: main });
