/** The command line of the bench. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";
import { CASES, type Case, PROTOCOLS, type Protocol } from "./cases.ts";
import type { LoadPlan } from "./load.ts";

export const ENGINES = ["nginx", "llhttp", "http-proxy", "undici", "haproxy"] as const;

const ARRIVALS = ["together", "evenly"] as const;

export interface BenchOptions {
  /** Length of each measurement, its warm-up not counted. */
  readonly seconds: number;
  readonly rounds: number;
  readonly arrivals: LoadPlan["arrivals"];
  readonly cases: readonly Case[];
  readonly protocols: readonly Protocol[];
  /** Plain reverse proxies; ratios are to nginx. */
  readonly engines: readonly (typeof ENGINES)[number][];
  /** Where the results go. */
  readonly json: string;
}

export const USAGE = `usage: npm run bench:l7 -- [OPTION ...]

  --seconds N       length of each measurement (default 4)
  --rounds N        repetitions, whose median counts (default 3)
  --arrivals HOW    of requests at the fixed rate: ${ARRIVALS.join(" or ")} (default together:
                    ten at a time, every 10 ms)
  --cases A,B       of ${CASES.join(", ")}, or none (default all)
  --protocols A,B   of ${PROTOCOLS.join(", ")} (default all)
  --engines A,B     plain reverse proxies to compare: of ${ENGINES.join(", ")},
                    or none (default all)
  --json PATH       where the results go (default bench-results/l7.json)

Needs root, and Debian's packages nginx, haproxy, wrk and nghttp2-client.
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  return {
    seconds: count("--seconds", values.seconds, 60),
    rounds: count("--rounds", values.rounds, 20),
    arrivals: choice("--arrivals", values.arrivals, ARRIVALS),
    cases: choices("--cases", values.cases, CASES),
    protocols: choices("--protocols", values.protocols, PROTOCOLS),
    engines: choices("--engines", values.engines, ENGINES),
    json: resolve(values.json),
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h" },
        seconds: { type: "string", default: "4" },
        rounds: { type: "string", default: "3" },
        arrivals: { type: "string", default: "together" },
        cases: { type: "string" },
        protocols: { type: "string" },
        engines: { type: "string" },
        json: { type: "string", default: "bench-results/l7.json" },
      },
    });
    return values;
  } catch (error) {
    throw new MeshError("BAD_OPTION", error instanceof Error ? error.message : String(error), {
      hint: "npm run bench:l7 -- --help",
    });
  }
}

function count(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new MeshError("BAD_OPTION", `${name} ${text}: it takes a whole number from 1 to ${max}`);
}

function choice<Choice extends string>(name: string, text: string, all: readonly Choice[]): Choice {
  const found = all.find((each) => each === text);
  if (found !== undefined) return found;
  throw new MeshError("BAD_OPTION", `${name} ${text}: it takes one of ${all.join(", ")}`);
}

function choices<Choice extends string>(
  name: string,
  text: string | undefined,
  all: readonly Choice[],
): readonly Choice[] {
  if (text === undefined) return all;
  if (text === "none") return [];
  const words = text.split(",");
  const unknown = words.find((word) => !all.some((choice) => choice === word));
  if (unknown === undefined) return all.filter((choice) => words.includes(choice));
  throw new MeshError("BAD_OPTION", `${name} does not know "${unknown}"`, {
    hint: `it takes a comma-separated list of ${all.join(", ")}, or none`,
  });
}
