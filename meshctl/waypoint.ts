/**
 * `meshctl waypoint`: istioctl's commands, flags and columns. Source: istioctl/pkg/waypoint.
 * `--name` is the waypoint's, as there; `--cluster` chooses a cluster of `meshctl up`.
 */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { MeshError } from "#common/runtime/errors.ts";
import { withCluster } from "#meshctl/cluster-access/connect.ts";
import {
  type KubernetesOption,
  withKubernetesOptions,
} from "#meshctl/cluster-access/kubernetes-access.ts";
import type { MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { type ApplyOptions, applyWaypoint, deleteWaypoints } from "#meshctl/waypoint/apply.ts";
import { type ListOptions, listWaypoints, waypointStatus } from "#meshctl/waypoint/list.ts";
import { parseDurationMs } from "./duration.ts";
import { WAYPOINT_TIMEOUT_MS } from "./limits.ts";
import {
  DEFAULT_WAYPOINT,
  type GatewayOptions,
  TRAFFIC_TYPES,
  waypointGateway,
} from "./waypoint-gateway.ts";

interface ClusterChoice extends KubernetesOption {
  readonly cluster?: string;
}

interface DeleteOptions extends ClusterChoice {
  readonly namespace?: string;
  readonly all: boolean;
  readonly revision?: string;
}

export function addWaypoint(program: Command): void {
  const waypoint = program.command("waypoint").description("Manage waypoints.");
  const command = (name: string, description: string) =>
    waypoint.command(name).description(description);
  withGateway(command("generate", "Print a waypoint's configuration as YAML."))
    .option("-n, --namespace <namespace>", "its namespace; none in the YAML unless given")
    .action((options: GatewayOptions) => say(stringify(waypointGateway(options)).trimEnd()));
  addApply(
    command("apply", "Add a waypoint: to the folder that the cluster follows, or to Kubernetes."),
  );
  withClusterChoice(command("delete", "Remove waypoints."))
    .argument("[names...]", "of the waypoints, as list shows them")
    .addOption(namespaceOption())
    .option("--all", "all waypoints of the namespace", false)
    .option("-r, --revision <revision>", "those of this revision")
    .action(remove);
  withClusterChoice(command("list", "List waypoints."))
    .addOption(namespaceOption())
    .option("-A, --all-namespaces", "of all namespaces", false)
    .action(async (options: ListOptions & ClusterChoice) => {
      await onCluster(options, async (cluster) => {
        process.stdout.write(await listWaypoints(cluster, options));
      });
    });
  withClusterChoice(command("status", "Show whether the waypoints of a namespace are programmed."))
    .option("-n, --namespace <namespace>", "its namespace (default, or the context's)")
    .option("-w, --wait", "until they are", false)
    .addOption(timeoutOption())
    .action(async ({ waypointTimeout: timeoutMs, ...options }) => {
      await onCluster(options, async (cluster) => {
        process.stdout.write(await waypointStatus(cluster, { ...options, timeoutMs }));
      });
    });
}

function addApply(command: Command): void {
  withClusterChoice(withGateway(command))
    .addOption(namespaceOption())
    .option("--enroll-namespace", "label the namespace with the waypoint's name", false)
    .option("--overwrite", "also where the namespace has another waypoint", false)
    .option("-w, --wait", "until the waypoint is ready", false)
    .addOption(timeoutOption())
    .action(async ({ waypointTimeout, ...options }) => {
      const apply: ApplyOptions = { ...options, waypointTimeoutMs: waypointTimeout };
      await onCluster(options, (cluster) => applyWaypoint(cluster, apply, say));
    });
}

async function remove(names: readonly string[], options: DeleteOptions): Promise<void> {
  const { all, namespace, revision } = options;
  const some = all || revision !== undefined;
  if (some && names.length > 0) {
    throw new MeshError("NAMES_AND_ALL", "names exclude --all and --revision");
  }
  if (!some && names.length === 0) {
    throw new MeshError("NO_NAMES", "no waypoint is named", {
      hint: "name them, or say --all or --revision; meshctl waypoint list",
    });
  }
  await onCluster(options, async (cluster) => {
    const place = namespace ?? cluster.defaultNamespace;
    const missing = await deleteWaypoints(cluster, place, some ? { revision } : names, say);
    if (missing.length > 0) process.exitCode = 1;
  });
}

function withGateway(command: Command): Command {
  return command
    .option("--name <waypoint>", "name of the waypoint", DEFAULT_WAYPOINT)
    .addOption(new Option("--for <traffic>", "what it serves").choices(TRAFFIC_TYPES))
    .option("-r, --revision <revision>", "the revision to label the waypoint with");
}

function withClusterChoice(command: Command): Command {
  const option = new Option("--cluster <cluster>", "the cluster of meshctl up, where several are");
  return withKubernetesOptions(command.addOption(option.env("MESHCTL_CLUSTER")));
}

function namespaceOption(): Option {
  return new Option("-n, --namespace <namespace>", "its namespace (default, or the context's)");
}

function timeoutOption(): Option {
  const option = new Option("--waypoint-timeout <duration>", "how long to wait: 90s, 2m");
  return option.default(WAYPOINT_TIMEOUT_MS, "90s").argParser(parseDurationMs);
}

/** The options hold a name too: that is the waypoint's. */
function onCluster(
  { cluster, kubeconfig, context }: ClusterChoice,
  run: (cluster: MeshCluster) => Promise<void>,
): Promise<void> {
  const chosen = {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(cluster !== undefined && { name: cluster }),
  };
  return withCluster(chosen, run);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
