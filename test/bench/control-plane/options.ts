/** The command line of the bench. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";
import type { MeshSize } from "./mesh-objects.ts";

export interface ControlPlaneOptions extends MeshSize {
  /** ztunnels that connect at once. */
  readonly herd: number;
  /** Changes of one pod that are timed. */
  readonly changes: number;
  /** Whether a real ztunnel is started for its memory. */
  readonly ztunnel: boolean;
  /** Where the results go. */
  readonly json: string;
}

const DEFAULTS = { pods: 10_000, services: 1_000, policies: 1_000, herd: 500, changes: 100 };
type Count = keyof typeof DEFAULTS;

export const USAGE = `usage: npm run bench:control-plane -- [OPTION ...]

  --pods N        (default ${DEFAULTS.pods})
  --services N    (default ${DEFAULTS.services})
  --policies N    (default ${DEFAULTS.policies})
  --herd N        ztunnels that connect at once, one per node (default ${DEFAULTS.herd})
  --changes N     changes of one pod that are timed (default ${DEFAULTS.changes})
  --no-ztunnel    do not start a real ztunnel for its memory (starting one needs root)
  --json PATH     where the results go (default bench-results/control-plane.json)
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): ControlPlaneOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const counts = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, fallback]) => {
      const given = values[name as Count];
      return [name, given === undefined ? fallback : count(name, given)];
    }),
  ) as Record<Count, number>;
  return {
    ...counts,
    nodes: counts.herd,
    ztunnel: values["no-ztunnel"] !== true,
    json: resolve(values.json),
  };
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  const options = {
    help: { type: "boolean", short: "h" },
    pods: string,
    services: string,
    policies: string,
    herd: string,
    changes: string,
    "no-ztunnel": { type: "boolean" },
    json: { type: "string", default: "bench-results/control-plane.json" },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new MeshError("BAD_OPTION", "the options cannot be read", { cause, hint: USAGE });
  }
}

function count(name: string, text: string): number {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new MeshError("BAD_OPTION", `--${name} ${text} is no number from 1 on`, { hint: USAGE });
}
