/**
 * Outlives the process that started a cluster, and takes the cluster away when that process ends,
 * however it ends: its standard input is a pipe that only that process holds.
 *
 * usage: node keeper.ts CLUSTER-NAME RUN-FOLDER
 */
import { rm } from "node:fs/promises";
import { cgroupsOf, removeCgroups } from "./cgroups.ts";

const [, , clusterName, runFolder] = process.argv;
if (clusterName === undefined || runFolder === undefined) {
  throw new Error("usage: node keeper.ts CLUSTER-NAME RUN-FOLDER");
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.stdin.resume();
process.stdin.on("end", () => void remove(clusterName, runFolder));

/** What they mounted and their links went with the namespaces. */
async function remove(name: string, folder: string): Promise<void> {
  await removeCgroups(cgroupsOf(name));
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}
