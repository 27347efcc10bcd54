/** `meshctl rollout restart`: replaces ztunnels one after the other, without a gap in between. */
import type { Command } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";

export function addRollout(program: Command): void {
  const rollout = program.command("rollout").description("Replace running programs of the mesh.");
  withClusterOption(rollout.command("restart"))
    .description("Replace ztunnels: each takes over its pods' listeners before the old one drains.")
    .argument("<program>", "ztunnel")
    .argument("[nodes...]", "only on these nodes; on all of them by default")
    .action(restart);
}

async function restart(
  program: string,
  wanted: readonly string[],
  options: ClusterOption,
): Promise<void> {
  if (!/^((daemonset|ds)\/)?ztunnel$/.test(program)) {
    throw new MeshError("NOT_A_PROGRAM", `${program} cannot be replaced`, {
      hint: "meshctl rollout restart ztunnel; pods are made anew by meshctl delete pod",
    });
  }
  await withCluster(options, (cluster) =>
    cluster.restartZtunnels(wanted, (line) => void process.stdout.write(`${line}\n`)),
  );
}
