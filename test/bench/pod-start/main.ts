/**
 * `npm run bench:pod-start [-- --pairs N]`: by how much the mesh delays the start of pods.
 * Needs root, and what test:kubernetes needs.
 */
import { describeMachine, runBenchCommand, writeResults } from "#test/support/bench-command.ts";
import { parseCounts } from "../count-options.ts";
import { runBench } from "./bench.ts";

const DEFAULTS = { pairs: 40 };
const JSON_PATH = "bench-results/pod-start.json";

const USAGE = `usage: npm run bench:pod-start -- [OPTION ...]

A real node; pods of a namespace without the label and of one with it, in turns, N of each, and
before that N on the node without the mesh.

  --pairs N       (default ${DEFAULTS.pairs})
  --json PATH     where the results go (default ${JSON_PATH})
`;

function parse(args: readonly string[]) {
  return parseCounts(args, { defaults: DEFAULTS, json: JSON_PATH, usage: USAGE });
}

async function main({ counts: { pairs }, json }: NonNullable<ReturnType<typeof parse>>) {
  const result = await runBench(pairs, (line) => console.log(`... ${line}`));
  writeResults(json, { machine: describeMachine(), pairs, result });
  console.log(`${JSON.stringify(result, undefined, 1)}\n\nresults are in ${json}`);
}

await runBenchCommand({ name: "bench:pod-start", usage: USAGE, parse, run: main });
