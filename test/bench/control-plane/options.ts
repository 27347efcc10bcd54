/** The command line of the bench. */

import { parseCounts } from "../count-options.ts";
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
const JSON_PATH = "bench-results/control-plane.json";
const NO_ZTUNNEL = "no-ztunnel";

export const USAGE = `usage: npm run bench:control-plane -- [OPTION ...]

  --pods N        (default ${DEFAULTS.pods})
  --services N    (default ${DEFAULTS.services})
  --policies N    (default ${DEFAULTS.policies})
  --herd N        ztunnels that connect at once, one per node (default ${DEFAULTS.herd})
  --changes N     changes of one pod that are timed (default ${DEFAULTS.changes})
  --no-ztunnel    do not start a real ztunnel for its memory (starting one needs root)
  --json PATH     where the results go (default ${JSON_PATH})
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): ControlPlaneOptions | undefined {
  const flags = [NO_ZTUNNEL];
  const parsed = parseCounts(args, { defaults: DEFAULTS, flags, json: JSON_PATH, usage: USAGE });
  if (parsed === undefined) return undefined;
  const { counts, json } = parsed;
  return { ...counts, nodes: counts.herd, ztunnel: !parsed.flags.has(NO_ZTUNNEL), json };
}
