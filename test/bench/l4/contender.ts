/** Who carries the traffic: nobody, our ztunnels or a stock one. */
import type { Mode } from "./metrics.ts";
import type { ContenderName } from "./samples.ts";

export interface Contender {
  readonly name: ContenderName;
  /** Starts fresh proxies for a mode; resolves when they say that they are ready. */
  start(mode: Mode): Promise<void>;
  /**
   * The proxies' directories in /proc, one per node; empty for direct. Throws where one is gone.
   */
  procDirs(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export const DIRECT: Contender = {
  name: "direct",
  start: () => Promise.resolve(),
  procDirs: () => Promise.resolve([]),
  stop: () => Promise.resolve(),
};
