/** `meshctl delete pod`: deletes a pod; its Deployment, if it has one, makes another. */
import { type Command, InvalidArgumentError } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import { resolvePod } from "#meshctl/cluster-access/resolve-pod.ts";

interface DeleteOptions extends ClusterOption {
  readonly namespace?: string;
  readonly gracePeriod?: number;
}

export function addDelete(program: Command): void {
  withClusterOption(program.command("delete"))
    .description("Delete a pod. Everything else goes with its YAML, or by kubectl.")
    .argument("<kind>", "pod")
    .argument("<name>", "the pod's name")
    .option("-n, --namespace <namespace>", "the pod's namespace")
    .option("--grace-period <seconds>", "time to end by itself; 0 for none", parseSeconds)
    .action(deletePod);
}

async function deletePod(kind: string, name: string, options: DeleteOptions): Promise<void> {
  if (!/^(pod|pods|po)$/.test(kind)) {
    throw new MeshError("NOT_A_POD", `${kind} ${name} is not deleted here`, {
      hint: "remove it from the folder's YAML; on Kubernetes: kubectl delete",
    });
  }
  await withCluster(options, async (cluster) => {
    const pod = await resolvePod(cluster, name, options.namespace);
    await cluster.deletePod(pod, options.gracePeriod);
    const { namespace, name: found } = pod.metadata;
    process.stdout.write(`pod ${namespace}/${found} is being deleted\n`);
  });
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("give whole seconds, such as 5.");
}
