/** From what a person types after `meshctl ztunnel-config KIND` to a ztunnel, or to a pod's. */
import { MeshError } from "#common/runtime/errors.ts";
import type { MeshCluster, Ztunnel } from "#meshctl/cluster-access/mesh-cluster.ts";
import { resolvePod } from "#meshctl/cluster-access/resolve-pod.ts";

export interface TargetOptions {
  /** A node's name. */
  readonly node?: string | undefined;
  /** Of the pod, where none is written behind its name. */
  readonly namespace?: string | undefined;
}

export interface Target {
  readonly ztunnel: Ztunnel;
  /** Set where a pod was named: only what is about it is shown. */
  readonly pod?: { readonly name: string; readonly namespace: string };
}

/**
 * Any ztunnel if nothing is named and `anyOne` says that all know the same. Throws a MeshError that
 * names those there are.
 */
export async function resolveTarget(
  cluster: MeshCluster,
  reference: string | undefined,
  { node, namespace }: TargetOptions,
  anyOne: boolean,
): Promise<Target> {
  const ztunnels = await cluster.ztunnels();
  if (node !== undefined) return { ztunnel: ofNode(ztunnels, node) };
  if (reference !== undefined && !/^(daemonset|ds)\/ztunnel(\.|$)/.test(reference)) {
    const [name] = reference.replace(/^(pod|pods|po)\//, "").split(".");
    const meant = ztunnels.find((one) => name === one.node || name === one.name);
    if (meant !== undefined) return { ztunnel: meant };
    return podTarget(cluster, ztunnels, reference, namespace);
  }
  const [first] = ztunnels;
  if (first !== undefined && (anyOne || ztunnels.length === 1)) return { ztunnel: first };
  throw new MeshError("WHICH_ZTUNNEL", "each ztunnel has its own: say which one", {
    hint: `name a pod, or one of ${ztunnels.map((one) => one.name).join(", ")}`,
  });
}

function ofNode(ztunnels: readonly Ztunnel[], node: string): Ztunnel {
  const found = ztunnels.find((ztunnel) => ztunnel.node === node);
  if (found !== undefined) return found;
  throw new MeshError("NO_SUCH_NODE", `no ztunnel runs on a node ${node}`, {
    hint: `they run on ${ztunnels.map((ztunnel) => ztunnel.node).join(", ")}`,
  });
}

/** `[TYPE/]NAME[.NAMESPACE]`, as istioctl takes it. */
async function podTarget(
  cluster: MeshCluster,
  ztunnels: readonly Ztunnel[],
  reference: string,
  namespace: string | undefined,
): Promise<Target> {
  const dot = reference.indexOf(".");
  const where = dot < 0 ? namespace : reference.slice(dot + 1);
  const pod = await resolvePod(cluster, dot < 0 ? reference : reference.slice(0, dot), where);
  const { name, namespace: place = "" } = pod.metadata;
  const { nodeName } = pod.spec;
  if (nodeName !== undefined) {
    return { ztunnel: ofNode(ztunnels, nodeName), pod: { name, namespace: place } };
  }
  throw new MeshError("NOT_SCHEDULED", `pod ${name} is on no node yet`, {
    hint: `meshctl get pods -n ${place}`,
  });
}
