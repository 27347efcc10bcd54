/**
 * `npm run bench:l4`: what carrying connections costs, without the mesh, captured, and over HBONE.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { failureText } from "#common/runtime/errors.ts";
import { runBench } from "./bench.ts";
import { describeMachine, describeVersions } from "./machine.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { buildRows, type Report } from "./report.ts";
import { formatTables } from "./table.ts";
import { startTopology } from "./topology.ts";

const started = performance.now();

function say(line: string): void {
  const seconds = Math.round((performance.now() - started) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  console.log(`[${clock.padStart(5)}] ${line}`);
}

async function main(options: BenchOptions): Promise<void> {
  const machine = describeMachine(options);
  say("starting a cluster of two nodes");
  await using cluster = await startTopology();
  const samples = await runBench(cluster, options, say);
  const rows = buildRows(samples, options);
  const report: Report = { machine, versions: describeVersions(options), rows };
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 1)}\n`);
  console.log(formatTables(rows, samples, options));
  say(`results are in ${options.json}`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else await main(options);
} catch (error) {
  process.stderr.write(failureText("bench:l4", error));
  process.exitCode = 1;
}
