/** `npm run bench:kubernetes`: what a cluster of some size costs its control plane. */
import { describeMachine, runBenchCommand, writeResults } from "#test/support/bench-command.ts";
import { runBench } from "./bench.ts";
import { type KubernetesBenchOptions, parseOptions, USAGE } from "./options.ts";
import { formatResult } from "./report.ts";

async function main(options: KubernetesBenchOptions): Promise<void> {
  const result = await runBench(options, (line) => console.log(`... ${line}`));
  writeResults(options.json, { machine: describeMachine(), options, result });
  console.log(`\n${formatResult(result)}\n\nresults are in ${options.json}`);
}

await runBenchCommand({ name: "bench:kubernetes", usage: USAGE, parse: parseOptions, run: main });
