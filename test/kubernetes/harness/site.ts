/** What every part of a cluster has to know about it. */
import type { ClusterPki } from "./pki.ts";
import type { Toolbox } from "./tools/toolbox.ts";

export interface Site {
  /** Unique on this machine. */
  readonly name: string;
  /** Everything the cluster writes; goes with it. */
  readonly runFolder: string;
  readonly tools: Toolbox;
  readonly pki: ClusterPki;
}
