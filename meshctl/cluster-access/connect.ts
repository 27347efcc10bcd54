/** How every command that needs a running cluster finds it. */
import { type Command, Option } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { findCluster, findClusters } from "#meshctl/local/find-clusters.ts";
import {
  connectKubernetes,
  type KubernetesOption,
  knowsKubernetes,
  withKubernetesOptions,
} from "./kubernetes-access.ts";
import { KubernetesCluster } from "./kubernetes-cluster.ts";
import type { MeshCluster } from "./mesh-cluster.ts";
import { NamespaceCluster } from "./namespace-cluster.ts";

/** The options by which one of several clusters is chosen. */
export interface ClusterOption extends KubernetesOption {
  /** Of `meshctl up`. */
  readonly name?: string;
}

export function withClusterOption(command: Command): Command {
  return withKubernetesOptions(
    command.addOption(
      new Option("--name <cluster>", "the cluster of meshctl up, where several are running").env(
        "MESHCTL_CLUSTER",
      ),
    ),
  );
}

/**
 * What is named counts. Else a cluster of `meshctl up` on this machine comes before Kubernetes, and
 * that is said where both could be meant. Throws a MeshError that says what to type.
 */
export async function connect(
  options: ClusterOption,
  warn: (line: string) => void = (line) => void process.stderr.write(`${line}\n`),
): Promise<MeshCluster> {
  const { name, kubeconfig, context } = options;
  const wantsKubernetes = kubeconfig !== undefined || context !== undefined;
  if (name !== undefined && wantsKubernetes) {
    throw new MeshError("WHICH_CLUSTER", `${name} is a cluster of meshctl up, not of Kubernetes`, {
      hint: "leave away --name (or $MESHCTL_CLUSTER), or --kubeconfig and --context",
    });
  }
  if (wantsKubernetes) return kubernetes(options);
  if (name !== undefined) return new NamespaceCluster((await findCluster(name)).initPid);
  const running = await findClusters();
  if (running.length > 0) {
    const { initPid, settings } = await findCluster(undefined);
    if (knowsKubernetes()) {
      warn(`(cluster ${settings.name} of meshctl up; --context CONTEXT for Kubernetes)`);
    }
    return new NamespaceCluster(initPid);
  }
  if (knowsKubernetes()) return kubernetes(options);
  throw new MeshError("NO_CLUSTER", "no cluster is running here, and no kubeconfig is known", {
    hint: "meshctl up FOLDER, or --kubeconfig FILE for Kubernetes",
  });
}

function kubernetes(options: KubernetesOption): MeshCluster {
  const { client, namespace } = connectKubernetes(options);
  return new KubernetesCluster(client, namespace);
}

/** Runs a command on the cluster that its options choose. */
export async function withCluster(
  options: ClusterOption,
  run: (cluster: MeshCluster) => Promise<void>,
): Promise<void> {
  const cluster = await connect(options);
  try {
    await run(cluster);
  } finally {
    cluster.close();
  }
}
