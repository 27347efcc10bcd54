/** `npm run soak`: a mesh under steady traffic while everything around it changes. */
import { describeMachine, runBenchCommand, writeResults } from "#test/support/bench-command.ts";
import { parseOptions, type SoakCommand, USAGE } from "./options.ts";
import { faultsOf, formatResult } from "./report.ts";
import { runSoak } from "./soak.ts";

/** 1 where something did not hold. */
async function main({ json, ...options }: SoakCommand): Promise<number> {
  const result = await runSoak(options, (line) => console.log(`... ${line}`));
  const faults = faultsOf(result);
  writeResults(json, { machine: describeMachine(), options, faults, result });
  console.log(`\n${formatResult(result)}\n\nresults are in ${json}`);
  for (const fault of faults) console.log(`FAULT: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

await runBenchCommand({
  name: "soak",
  usage: USAGE,
  parse: parseOptions,
  run: main,
  failureStatus: 2,
});
