/** The command line of the fuzzer. */
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";
import { findTarget } from "./find-target.ts";
import { TARGETS } from "./targets/index.ts";

export interface FuzzOptions {
  readonly targets: readonly string[];
  /** For each target. */
  readonly seconds: number;
  readonly seed: number;
}

const DEFAULT_SECONDS = 30;
const MAX_SECONDS = 86_400;
const MAX_SEED = 0xffff_ffff;

export const USAGE = `usage: npm run fuzz -- [OPTION ...]

  --target A,B    only these targets (default: all)
  --seconds N     for each target (default ${DEFAULT_SECONDS})
  --seed N        makes the same inputs as an earlier run (default: another one each time)

targets: ${TARGETS.map(({ name }) => name).join(", ")}

What a run finds is kept in test/fuzz/cases: npm test tries it from then on.
`;

/** Undefined where help is asked for. Throws MeshError BAD_OPTION. */
export function parseOptions(
  args: readonly string[],
  random: () => number,
): FuzzOptions | undefined {
  const { help, target, seconds, seed } = parse(args);
  if (help === true) return undefined;
  const names = target === undefined ? TARGETS.map(({ name }) => name) : target.split(",");
  return {
    targets: names.map((name) => findTarget(name).name),
    seconds: seconds === undefined ? DEFAULT_SECONDS : number("seconds", seconds, MAX_SECONDS),
    seed: seed === undefined ? Math.floor(random() * MAX_SEED) : number("seed", seed, MAX_SEED),
  };
}

function parse(args: readonly string[]) {
  const options = {
    help: { type: "boolean", short: "h" },
    target: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new MeshError("BAD_OPTION", "unknown option", { cause, hint: "npm run fuzz -- --help" });
  }
}

function number(name: string, text: string, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new MeshError("BAD_OPTION", `--${name} takes a whole number from 1 to ${max}`);
}
