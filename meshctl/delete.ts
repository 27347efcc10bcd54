/** `meshctl delete pod`: deletes a pod; its Deployment, if it has one, makes another. */
import { type Command, InvalidArgumentError } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterOption, connect, withClusterOption } from "#meshctl/connect.ts";
import { DEFAULT_NAMESPACE, resolvePod } from "#meshctl/resolve-pod.ts";

interface DeleteOptions extends ClusterOption {
  readonly namespace: string;
  readonly gracePeriod?: number;
}

export function addDelete(program: Command): void {
  withClusterOption(program.command("delete"))
    .description("Delete a pod. Everything else is deleted by removing it from the folder.")
    .argument("<kind>", "pod")
    .argument("<name>", "the pod's name")
    .option("-n, --namespace <namespace>", "the pod's namespace", DEFAULT_NAMESPACE)
    .option("--grace-period <seconds>", "time to end by itself; 0 for none", parseSeconds)
    .action(deletePod);
}

async function deletePod(kind: string, name: string, options: DeleteOptions): Promise<void> {
  if (!/^(pod|pods|po)$/.test(kind)) {
    throw new MeshError("NOT_A_POD", `${kind} ${name} comes from the folder`, {
      hint: "remove it from the folder's YAML: it is gone within a second",
    });
  }
  const client = await connect(options);
  const pod = await resolvePod(client, name, options.namespace);
  await client.deletePod(pod.namespace, pod.name, options.gracePeriod);
  process.stdout.write(`pod ${pod.namespace}/${pod.name} is being deleted\n`);
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("give whole seconds, such as 5.");
}
