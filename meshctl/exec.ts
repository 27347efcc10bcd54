/**
 * `meshctl exec`: runs a command in a pod; terminal, input, output and exit status are the
 * command's.
 */
import type { Command } from "commander";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import { resolvePod } from "#meshctl/cluster-access/resolve-pod.ts";

interface ExecOptions extends ClusterOption {
  readonly namespace?: string;
  readonly container?: string;
}

export function addExec(program: Command): void {
  withClusterOption(program.command("exec"))
    .description("Run a command in a pod.")
    .usage("POD [-n NAMESPACE] [-c CONTAINER] -- COMMAND [ARGUMENT...]")
    .argument("<pod>", "a pod's name, or deploy/NAME for one of its pods")
    .argument("<command...>", "what to run there")
    .option("-n, --namespace <namespace>", "the pod's namespace")
    .option("-c, --container <container>", "whose environment to use (the first)")
    .option("-i, --stdin", "accepted as kubectl's; input is always passed on")
    .option("-t, --tty", "accepted as kubectl's; a terminal is always passed on")
    .passThroughOptions(false)
    .action(exec);
}

async function exec(
  reference: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<void> {
  await withCluster(options, async (cluster) => {
    const pod = await resolvePod(cluster, reference, options.namespace);
    process.exitCode = await cluster.exec(pod, options.container, command);
  });
}
