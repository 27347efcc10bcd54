/** The command line of a bench whose options are counts, and a file for its results. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";

export interface CountOptions<Name extends string> {
  /** Each count with its default. */
  readonly defaults: Readonly<Record<Name, number>>;
  /** Switches without a value. */
  readonly flags?: readonly string[];
  /** Where results go unless `--json` says otherwise. */
  readonly json: string;
  readonly usage: string;
}

export interface ParsedCounts<Name extends string> {
  readonly counts: Readonly<Record<Name, number>>;
  /** Those that were given. */
  readonly flags: ReadonlySet<string>;
  readonly json: string;
}

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseCounts<Name extends string>(
  args: readonly string[],
  { defaults, flags = [], json, usage }: CountOptions<Name>,
): ParsedCounts<Name> | undefined {
  const names = Object.keys(defaults) as Name[];
  const values = parse(args, names, flags, usage);
  if (values.help === true) return undefined;
  const counts = Object.fromEntries(
    names.map((name) => {
      const given = values[name];
      return [name, given === undefined ? defaults[name] : count(name, String(given), usage)];
    }),
  ) as Record<Name, number>;
  const given = new Set(flags.filter((flag) => values[flag] === true));
  return { counts, flags: given, json: resolve(String(values.json ?? json)) };
}

function parse(
  args: readonly string[],
  names: readonly string[],
  flags: readonly string[],
  usage: string,
): Readonly<Record<string, unknown>> {
  const options = {
    help: { type: "boolean", short: "h" },
    ...Object.fromEntries([...names, "json"].map((name) => [name, { type: "string" } as const])),
    ...Object.fromEntries(flags.map((name) => [name, { type: "boolean" } as const])),
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new MeshError("BAD_OPTION", "the options cannot be read", { cause, hint: usage });
  }
}

function count(name: string, text: string, usage: string): number {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new MeshError("BAD_OPTION", `--${name} ${text} is no number from 1 on`, { hint: usage });
}
