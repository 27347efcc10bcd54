/** From what a person types after `meshctl ztunnel-config KIND` to a ztunnel, or to a pod's. */
import { MeshError } from "#common/runtime/errors.ts";
import type { NodeInfo } from "#meshctl/local/control-api.ts";
import type { ControlClient } from "#meshctl/local/control-client.ts";
import { ztunnelName } from "#meshctl/local/node-programs.ts";
import { DEFAULT_NAMESPACE, resolvePod } from "#meshctl/resolve-pod.ts";

export interface TargetOptions {
  /** A node's name. */
  readonly node?: string | undefined;
  /** Of the pod, where none is written behind its name. */
  readonly namespace?: string | undefined;
}

export interface Target {
  readonly node: NodeInfo;
  /** Set where a pod was named: only what is about it is shown. */
  readonly pod?: { readonly name: string; readonly namespace: string };
}

/**
 * Any ztunnel if nothing is named and `anyOne` says that all know the same. Throws a MeshError that
 * names those there are.
 */
export async function resolveTarget(
  client: ControlClient,
  reference: string | undefined,
  { node, namespace }: TargetOptions,
  anyOne: boolean,
): Promise<Target> {
  const nodes = await ztunnelNodes(client);
  if (node !== undefined) return { node: findNode(nodes, node) };
  if (reference !== undefined && !/^(daemonset|ds)\/ztunnel(\.|$)/.test(reference)) {
    const [name] = reference.replace(/^(pod|pods|po)\//, "").split(".");
    const meant = nodes.find((one) => name === one.name || name === ztunnelName(one.name));
    return meant === undefined ? podTarget(client, nodes, reference, namespace) : { node: meant };
  }
  const [first] = nodes;
  if (first !== undefined && (anyOne || nodes.length === 1)) return { node: first };
  throw new MeshError("WHICH_ZTUNNEL", "each ztunnel has its own: say which one", {
    hint: `name a pod, or one of ${nodes.map((one) => ztunnelName(one.name)).join(", ")}`,
  });
}

/** The nodes of a cluster that has a mesh. */
export async function ztunnelNodes(client: ControlClient): Promise<readonly NodeInfo[]> {
  const { mesh, nodes, name } = await client.info();
  if (mesh && nodes.length > 0) return nodes;
  throw new MeshError("NO_ZTUNNEL", `no ztunnel runs in cluster ${name}`, {
    hint: "meshctl down, then meshctl up FOLDER",
  });
}

function findNode(nodes: readonly NodeInfo[], name: string): NodeInfo {
  const found = nodes.find((node) => node.name === name);
  if (found !== undefined) return found;
  throw new MeshError("NO_SUCH_NODE", `the cluster has no node ${name}`, {
    hint: `its nodes are ${nodes.map((node) => node.name).join(", ")}`,
  });
}

/** `[TYPE/]NAME[.NAMESPACE]`, as istioctl takes it. */
async function podTarget(
  client: ControlClient,
  nodes: readonly NodeInfo[],
  reference: string,
  namespace: string | undefined,
): Promise<Target> {
  const dot = reference.indexOf(".");
  const written = dot < 0 ? undefined : reference.slice(dot + 1);
  const where = written ?? namespace ?? DEFAULT_NAMESPACE;
  const pod = await resolvePod(client, dot < 0 ? reference : reference.slice(0, dot), where);
  const { items } = await client.objects("Pod", pod.namespace);
  const object = items.find(({ metadata }) => metadata.name === pod.name);
  const nodeName = object?.kind === "Pod" ? object.spec.nodeName : undefined;
  if (nodeName === undefined) {
    throw new MeshError("NOT_SCHEDULED", `pod ${pod.name} is on no node yet`, {
      hint: `meshctl get pods -n ${pod.namespace}`,
    });
  }
  return { node: findNode(nodes, nodeName), pod };
}
