/** `npm run bench:kubernetes`: what a cluster of some size costs its control plane. */
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { dirname } from "node:path";
import { failureText } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { runBench } from "./bench.ts";
import { type KubernetesBenchOptions, parseOptions, USAGE } from "./options.ts";
import { formatResult } from "./report.ts";

async function main(options: KubernetesBenchOptions): Promise<void> {
  const result = await runBench(options, (line) => console.log(`... ${line}`));
  const machine = {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.cpus().length,
    node: process.versions.node,
    ambientMesh: VERSION,
    loadAverage: os.loadavg(),
    measuredAt: new Date().toISOString(),
  };
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify({ machine, options, result }, undefined, 1)}\n`);
  console.log(`\n${formatResult(result)}\n\nresults are in ${options.json}`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else await main(options);
} catch (error) {
  process.stderr.write(failureText("bench:kubernetes", error));
  process.exitCode = 1;
}
