/**
 * `npm run bench:pod-start [-- --pairs N]`: by how much the mesh delays the start of pods. Prints
 * JSON. Needs root, and what test:kubernetes needs.
 */
import os from "node:os";
import { parseArgs } from "node:util";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { runBench } from "./bench.ts";

const USAGE = `usage: npm run bench:pod-start -- [--pairs N]

A real node; pods of a namespace without the label and of one with it, in turns, N of each
(default 40), and before that N on the node without the mesh.
`;
const DEFAULT_PAIRS = "40";

function pairsOf(args: readonly string[]): number {
  const { values } = parseArgs({
    args: [...args],
    options: { pairs: { type: "string", default: DEFAULT_PAIRS } },
  });
  const pairs = /^\d{1,4}$/.test(values.pairs) ? Number(values.pairs) : 0;
  if (pairs > 0) return pairs;
  throw new MeshError("BAD_OPTION", `--pairs ${values.pairs} is no number from 1 on`);
}

try {
  const pairs = pairsOf(process.argv.slice(2));
  const result = await runBench(pairs, (line) => console.error(`... ${line}`));
  const machine = {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.cpus().length,
    ambientMesh: VERSION,
    loadAverage: os.loadavg(),
    measuredAt: new Date().toISOString(),
  };
  console.log(JSON.stringify({ machine, pairs, ...result }, undefined, 1));
} catch (error) {
  console.error(`bench:pod-start: ${describeError(error)}\n${USAGE}`);
  process.exitCode = 1;
}
