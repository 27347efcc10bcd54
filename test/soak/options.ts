/** The command line of the soak. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";

export interface SoakCommand {
  readonly seconds: number;
  readonly perSecond: number;
  /** Where the results go. */
  readonly json: string;
}

const DEFAULTS = { minutes: "15", rate: "100", json: "bench-results/soak.json" } as const;
const MAX_MINUTES = 7 * 24 * 60;
const MAX_RATE = 2_000;

export const USAGE = `usage: npm run soak -- [OPTION ...]

  --minutes N   how long (default ${DEFAULTS.minutes})
  --rate N      calls per second, of all sorts together (default ${DEFAULTS.rate})
  --json PATH   where the results go (default ${DEFAULTS.json})
`;

/** Undefined where help is asked for. Throws MeshError BAD_OPTION. */
export function parseOptions(args: readonly string[]): SoakCommand | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  return {
    seconds: number("minutes", values.minutes, MAX_MINUTES) * 60,
    perSecond: number("rate", values.rate, MAX_RATE),
    json: resolve(values.json),
  };
}

function parse(args: readonly string[]) {
  const options = {
    help: { type: "boolean", short: "h" },
    minutes: { type: "string", default: DEFAULTS.minutes },
    rate: { type: "string", default: DEFAULTS.rate },
    json: { type: "string", default: DEFAULTS.json },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new MeshError("BAD_OPTION", "unknown option", { cause, hint: "npm run soak -- --help" });
  }
}

function number(name: string, text: string, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new MeshError("BAD_OPTION", `--${name} takes a whole number from 1 to ${max}`);
}
