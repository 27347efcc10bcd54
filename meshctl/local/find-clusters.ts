/**
 * Finds the clusters of this machine by their init processes: there is no state file to go stale.
 */
import { readdir, readFile } from "node:fs/promises";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterSettings, settingsOf } from "./cluster-settings.ts";

export interface RunningCluster {
  readonly settings: ClusterSettings;
  /** The cluster's init, as seen from here. */
  readonly initPid: number;
}

/** Every cluster whose processes can be seen from here, by name. */
export async function findClusters(): Promise<readonly RunningCluster[]> {
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(clusterOf));
  return found
    .filter((cluster) => cluster !== undefined)
    .sort((a, b) => (a.settings.name < b.settings.name ? -1 : 1));
}

/**
 * The cluster with this name; the only one there is if no name is given. Throws a MeshError if
 * none.
 */
export async function findCluster(name: string | undefined): Promise<RunningCluster> {
  const all = await findClusters();
  const names = all.map((cluster) => cluster.settings.name).join(", ");
  if (name !== undefined) {
    const named = all.find((cluster) => cluster.settings.name === name);
    if (named !== undefined) return named;
    const hint = all.length === 0 ? `meshctl up --name ${name}` : `running now: ${names}`;
    throw new MeshError("NO_CLUSTER", `there is no cluster ${name}`, { hint });
  }
  const [first, second] = all;
  if (first === undefined) {
    throw new MeshError("NO_CLUSTER", "no cluster is running", { hint: "meshctl up FOLDER" });
  }
  if (second === undefined) return first;
  throw new MeshError("MANY_CLUSTERS", `several clusters are running: ${names}`, {
    hint: `say which one: --name ${first.settings.name}`,
  });
}

async function clusterOf(pid: number): Promise<RunningCluster | undefined> {
  try {
    const cmdline = await readFile(`/proc/${pid}/cmdline`, "utf8");
    const settings = settingsOf(cmdline.split("\0"));
    if (settings === undefined || !(await isInit(pid))) return undefined;
    return { settings, initPid: pid };
  } catch {
    return undefined; // It ended meanwhile, or belongs to somebody else.
  }
}

/** Is 1 in its own process namespace: not a worker or a fork of an init. */
async function isInit(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return /^NSpid:.*\t1$/m.test(status);
}
