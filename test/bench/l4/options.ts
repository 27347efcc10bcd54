/** The command line of the bench. */
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";
import {
  METRIC_NAMES,
  type Metric,
  MODES,
  type Mode,
  PLACEMENTS,
  type Placement,
} from "./metrics.ts";

export interface BenchOptions {
  /** Length of each measurement, its warm-up not counted. */
  readonly seconds: number;
  readonly rounds: number;
  readonly modes: readonly Mode[];
  readonly placements: readonly Placement[];
  readonly metrics: readonly Metric[];
  /** A stock ztunnel to measure beside ours. */
  readonly peer: string | undefined;
  /** Where the results go. */
  readonly json: string;
}

export const USAGE = `usage: npm run bench:l4 -- [OPTION ...]

  --seconds N           length of each measurement (default 3)
  --rounds N            repetitions, whose median counts (default 3)
  --modes A,B           of ${MODES.join(", ")} (default all)
  --placements A,B      of ${PLACEMENTS.join(", ")} (default both)
  --metrics A,B         whole names or beginnings, such as bulk_1, rr1000, rss (default all)
  --peer ztunnel=PATH   measures a stock ztunnel binary in the same rounds
  --json PATH           where the results go (default bench-results/l4.json)
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  return {
    seconds: count("--seconds", values.seconds, 60),
    rounds: count("--rounds", values.rounds, 20),
    modes: choices("--modes", values.modes, MODES, (a, b) => a === b),
    placements: choices("--placements", values.placements, PLACEMENTS, (a, b) => a === b),
    metrics: choices("--metrics", values.metrics, METRIC_NAMES, (a, b) => a.startsWith(b)),
    peer: values.peer === undefined ? undefined : peerBinary(values.peer),
    json: resolve(values.json),
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h" },
        seconds: { type: "string", default: "3" },
        rounds: { type: "string", default: "3" },
        modes: { type: "string" },
        placements: { type: "string" },
        metrics: { type: "string" },
        peer: { type: "string" },
        json: { type: "string", default: "bench-results/l4.json" },
      },
    });
    return values;
  } catch (error) {
    throw new MeshError("BAD_OPTION", error instanceof Error ? error.message : String(error), {
      hint: "npm run bench:l4 -- --help",
    });
  }
}

function count(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new MeshError("BAD_OPTION", `${name} ${text}: it takes a whole number from 1 to ${max}`);
}

function choices<Choice extends string>(
  name: string,
  text: string | undefined,
  all: readonly Choice[],
  means: (choice: Choice, word: string) => boolean,
): readonly Choice[] {
  if (text === undefined) return all;
  const words = text.split(",");
  const unknown = words.find((word) => word === "" || !all.some((choice) => means(choice, word)));
  if (unknown === undefined) {
    return all.filter((choice) => words.some((word) => means(choice, word)));
  }
  throw new MeshError("BAD_OPTION", `${name} does not know "${unknown}"`, {
    hint: `it takes a comma-separated list of ${all.join(", ")}`,
  });
}

function peerBinary(text: string): string {
  const [kind, path = ""] = text.split(/=(.*)/s);
  if (kind !== "ztunnel" || path === "") {
    throw new MeshError("BAD_OPTION", `--peer ${text}: it takes ztunnel=PATH`);
  }
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new MeshError("BAD_OPTION", `--peer ${text}: ${path} is no program that can be run`, {
      cause,
      hint: "build istio/ztunnel with cargo build --release, or take the binary of its image",
    });
  }
  return resolve(path);
}
