/** How a cluster is to be: what its owner hands to its init, as JSON on the command line. */

export interface ClusterSettings {
  /** Tells clusters on one machine apart. */
  readonly name: string;
  /**
   * The user's folder as typed, relative to the working directory; absent for a folder of its own.
   */
  readonly folder?: string;
  /** The init first reads `InitialFiles` from its input, for the folder of its own. */
  readonly filesOnStdin?: boolean;
  /** False: no istiod-lite, no ztunnels; only nodes, pods and services. */
  readonly mesh: boolean;
  /** The init outlives the process that started it. */
  readonly detached: boolean;
  /** False: pods begin before their traffic is captured, for peers that do not report capture. */
  readonly failClosed?: boolean;
  /** Absolute paths of stock ztunnel binaries, which nodes run in place of this project's. */
  readonly stockZtunnel?: StockZtunnel;
  readonly ztunnel?: MeshProcessSettings;
  readonly istiod?: MeshProcessSettings;
}

export interface StockZtunnel {
  readonly everywhere?: string;
  /** By the name of the node; wins over `everywhere`. */
  readonly byNode?: Readonly<Record<string, string>>;
}

/** File names and contents. */
export type InitialFiles = Readonly<Record<string, string>>;

/** Changes to how a program of the mesh is run, for tests and benchmarks. */
export interface MeshProcessSettings {
  /** Added to its environment; wins over what the cluster sets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to its arguments. */
  readonly args?: readonly string[];
  /** Runs in place of the project's own program: program and first arguments. */
  readonly command?: readonly string[];
}

/** The option of the init's command line that is followed by the settings. */
export const SETTINGS_OPTION = "--cluster-settings";
/**
 * The end of the path of the init's program: by these two an init is recognised among all
 * processes.
 */
export const INIT_PROGRAM = "meshctl/local/cluster-main.ts";

/** The settings in the command line of an init; undefined for any other process. */
export function settingsOf(argv: readonly string[]): ClusterSettings | undefined {
  const program = argv.findIndex((word) => word.endsWith(INIT_PROGRAM));
  const option = argv.indexOf(SETTINGS_OPTION);
  // unshare and setpriv have the same words, but later: they are followed by another program.
  if (program < 0 || option !== program + 1 || /(unshare|setpriv)$/.test(argv[0] ?? "")) return;
  try {
    return JSON.parse(argv[option + 1] ?? "");
  } catch {
    return undefined; // Cut by the kernel, or not ours.
  }
}
