/** `npm run soak`: a mesh under steady traffic while everything around it changes. */
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { dirname } from "node:path";
import { failureText } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { parseOptions, type SoakCommand, USAGE } from "./options.ts";
import { faultsOf, formatResult } from "./report.ts";
import { runSoak } from "./soak.ts";

/** Whether everything held. */
async function main({ json, ...options }: SoakCommand): Promise<boolean> {
  const result = await runSoak(options, (line) => console.log(`... ${line}`));
  const faults = faultsOf(result);
  const machine = { cores: os.cpus().length, node: process.versions.node, ambientMesh: VERSION };
  mkdirSync(dirname(json), { recursive: true });
  writeFileSync(json, `${JSON.stringify({ machine, options, faults, result }, undefined, 1)}\n`);
  console.log(`\n${formatResult(result)}\n\nresults are in ${json}`);
  for (const fault of faults) console.log(`FAULT: ${fault}`);
  return faults.length === 0;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else process.exitCode = (await main(options)) ? 0 : 1;
} catch (error) {
  process.stderr.write(failureText("soak", error));
  process.exitCode = 2;
}
