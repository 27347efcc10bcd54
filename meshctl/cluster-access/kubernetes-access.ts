/** How commands reach a Kubernetes cluster: by a kubeconfig, or as a pod of the cluster itself. */

import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { connectInCluster } from "#common/kube-client/in-cluster.ts";
import { connectKubeconfig, kubeconfigContext } from "#common/kube-client/kubeconfig.ts";
import { kubeconfigFiles } from "#common/kube-client/kubeconfig-file.ts";
import { MeshError } from "#common/runtime/errors.ts";

export interface KubernetesOption {
  readonly kubeconfig?: string;
  readonly context?: string;
}

export interface KubernetesAccess {
  readonly client: HttpKubeClient;
  /** Where commands look unless told otherwise. */
  readonly namespace: string;
  /** For people: "context kind-shop (https://127.0.0.1:6443)". */
  readonly title: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function withKubernetesOptions(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the kubeconfig of a Kubernetes cluster ($KUBECONFIG)")
    .option("--context <context>", "the context in it");
}

/** Something says how a Kubernetes cluster is reached; it may be wrong, or of yesterday. */
export function knowsKubernetes(env: Environment = process.env): boolean {
  return kubeconfigFiles(env).some((file) => existsSync(file)) || isInCluster(env);
}

/** Throws a MeshError that says what was looked for. */
export function connectKubernetes(
  { kubeconfig, context }: KubernetesOption,
  env: Environment = process.env,
): KubernetesAccess {
  const isThere = kubeconfigFiles(env).some((file) => existsSync(file));
  if (kubeconfig === undefined && context === undefined && !isThere) {
    if (!isInCluster(env)) throw noKubeconfig(env);
    const client = connectInCluster({ env });
    return { client, namespace: "default", title: `this pod's cluster (${client.server})` };
  }
  const place = { path: kubeconfig, context, env };
  const client = connectKubeconfig(place);
  const { name, namespace } = kubeconfigContext(place);
  return { client, namespace, title: `context ${name} (${client.server})` };
}

function isInCluster({ KUBERNETES_SERVICE_HOST = "" }: Environment): boolean {
  return KUBERNETES_SERVICE_HOST !== "";
}

function noKubeconfig(env: Environment): MeshError {
  const looked = kubeconfigFiles(env).join(", ");
  return new MeshError("NO_KUBERNETES", `no Kubernetes cluster is known: there is no ${looked}`, {
    hint: "--kubeconfig FILE, or export KUBECONFIG=FILE",
  });
}
