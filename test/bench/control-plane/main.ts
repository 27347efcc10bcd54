/** `npm run bench:control-plane`: what a large mesh costs its control plane and its ztunnels. */
import { describeMachine, runBenchCommand, writeResults } from "#test/support/bench-command.ts";
import { runBench } from "./bench.ts";
import { type ControlPlaneOptions, parseOptions, USAGE } from "./options.ts";
import { formatResult } from "./report.ts";

async function main(options: ControlPlaneOptions): Promise<void> {
  const result = await runBench(options, (line) => console.log(`... ${line}`));
  writeResults(options.json, { machine: describeMachine(), options, result });
  console.log(`\n${formatResult(result)}\n\nresults are in ${options.json}`);
}

await runBenchCommand({
  name: "bench:control-plane",
  usage: USAGE,
  parse: parseOptions,
  run: main,
});
