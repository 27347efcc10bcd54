/** `meshctl down`: takes a cluster away. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterOption, withClusterOption } from "#meshctl/cluster-access/connect.ts";
import { findCluster, findClusters, type RunningCluster } from "#meshctl/local/find-clusters.ts";
import { CLUSTER_STOP_TIMEOUT_MS } from "./limits.ts";

const POLL_MS = 20;

export function addDown(program: Command): void {
  withClusterOption(program.command("down"))
    .description("Take a cluster away: every process, namespace, address and file of it.")
    .option("--all", "every cluster on this machine")
    .action(down);
}

async function down(options: ClusterOption & { readonly all?: boolean }): Promise<void> {
  const clusters = options.all === true ? await findClusters() : [await findCluster(options.name)];
  for (const cluster of clusters) {
    await takeAway(cluster);
    process.stdout.write(`cluster ${cluster.settings.name} is gone\n`);
  }
}

/** With the init of a process namespace, the kernel ends everything in it. */
async function takeAway({ initPid, settings }: RunningCluster): Promise<void> {
  process.kill(initPid, "SIGKILL");
  const deadline = Date.now() + CLUSTER_STOP_TIMEOUT_MS;
  while (existsSync(`/proc/${initPid}`)) {
    if (Date.now() > deadline) {
      throw new MeshError(
        "NOT_GONE",
        `cluster ${settings.name} (process ${initPid}) does not end`,
        {
          hint: `ps -o stat,wchan,args ${initPid} says what it waits for`,
        },
      );
    }
    await sleep(POLL_MS);
  }
}
