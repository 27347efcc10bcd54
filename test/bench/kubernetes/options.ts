/** The command line of the bench. */
import type { MeshSize } from "../control-plane/mesh-objects.ts";
import { parseCounts } from "../count-options.ts";

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
const JSON_PATH = "bench-results/kubernetes.json";

export const USAGE = `usage: npm run bench:kubernetes -- [OPTION ...]

A real etcd and kube-apiserver (as for test:kubernetes; needs root), synthetic objects,
the real istiod-lite, and one ztunnel's connection to it.

  --pods N        (default ${DEFAULTS.pods})
  --services N    (default ${DEFAULTS.services})
  --policies N    (default ${DEFAULTS.policies})
  --nodes N       (default ${DEFAULTS.nodes})
  --rate N        changes of pods per second (default ${DEFAULTS.rate})
  --seconds N     how long (default ${DEFAULTS.seconds})
  --json PATH     where the results go (default ${JSON_PATH})
`;

/** Undefined where help is asked for. Throws BAD_OPTION, with what would be right. */
export function parseOptions(args: readonly string[]): KubernetesBenchOptions | undefined {
  const parsed = parseCounts(args, { defaults: DEFAULTS, json: JSON_PATH, usage: USAGE });
  return parsed && { ...parsed.counts, json: parsed.json };
}
