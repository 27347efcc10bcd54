/** The command line of the bench. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { MeshError } from "#common/runtime/errors.ts";
import type { MeshSize } from "../control-plane/mesh-objects.ts";

export interface KubernetesBenchOptions extends MeshSize {
  /** Changes of pods per second while the mesh churns, and for how long. */
  readonly rate: number;
  readonly seconds: number;
  /** Where the results go. */
  readonly json: string;
}

const DEFAULTS = {
  pods: 10_000,
  services: 1_000,
  policies: 500,
  nodes: 50,
  rate: 50,
  seconds: 30,
};
type Count = keyof typeof DEFAULTS;

export const USAGE = `usage: npm run bench:kubernetes -- [OPTION ...]

A real etcd and kube-apiserver (as for test:kubernetes; needs root), synthetic objects,
the real istiod-lite, and one ztunnel's connection to it.

  --pods N        (default ${DEFAULTS.pods})
  --services N    (default ${DEFAULTS.services})
  --policies N    (default ${DEFAULTS.policies})
  --nodes N       (default ${DEFAULTS.nodes})
  --rate N        changes of pods per second (default ${DEFAULTS.rate})
  --seconds N     how long (default ${DEFAULTS.seconds})
  --json PATH     where the results go (default bench-results/kubernetes.json)
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): KubernetesBenchOptions | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const counts = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, fallback]) => {
      const given = values[name as Count];
      return [name, given === undefined ? fallback : count(name, given)];
    }),
  ) as Record<Count, number>;
  return { ...counts, json: resolve(values.json) };
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  const counts = { pods: string, services: string, policies: string, nodes: string };
  const options = {
    help: { type: "boolean", short: "h" },
    ...counts,
    rate: string,
    seconds: string,
    json: { type: "string", default: "bench-results/kubernetes.json" },
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
