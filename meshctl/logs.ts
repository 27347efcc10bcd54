/** `meshctl logs`: what a container wrote. */
import { type Command, InvalidArgumentError } from "commander";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import { resolvePod } from "#meshctl/cluster-access/resolve-pod.ts";

interface LogsOptions extends ClusterOption {
  readonly namespace?: string;
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: number;
}

export function addLogs(program: Command): void {
  withClusterOption(program.command("logs"))
    .description("Print what a container wrote; ztunnel-NODE and istiod are in -n istio-system.")
    .argument("<pod>", "a pod's name, or deploy/NAME for one of its pods")
    .option("-n, --namespace <namespace>", "the pod's namespace")
    .option("-c, --container <container>", "the container (the first)")
    .option("-f, --follow", "go on with what is written from now on")
    .option("-p, --previous", "of the run before the last restart")
    .option("--tail <lines>", "only the last lines", parseLines)
    .action(logs);
}

async function logs(reference: string, options: LogsOptions): Promise<void> {
  const { namespace, follow = false, previous = false, container, tail } = options;
  await withCluster(options, async (cluster) => {
    const pod = await resolvePod(cluster, reference, namespace);
    await cluster.printLog(pod, {
      follow,
      previous,
      ...(container !== undefined && { container }),
      ...(tail !== undefined && { tail }),
    });
  });
}

function parseLines(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("give a number of lines, such as 100.");
}
