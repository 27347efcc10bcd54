/** Which node a pod runs on. */
import type { Pod } from "#common/kubernetes/objects.ts";

export interface SchedulableNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly podCount: number;
}

/**
 * The node with the fewest pods among those that fit, the first one by name where several have as
 * few: pods that arrive together go round the nodes. A string says why none fits.
 */
export function chooseNode(pod: Pod, nodes: readonly SchedulableNode[]): SchedulableNode | string {
  const { nodeName, nodeSelector = {} } = pod.spec;
  if (nodeName !== undefined && nodeName !== "") {
    const named = nodes.find((node) => node.name === nodeName);
    return (
      named ?? `there is no node ${nodeName}: there are ${nodes.map((n) => n.name).join(", ")}`
    );
  }
  const wanted = Object.entries(nodeSelector);
  const fitting = nodes.filter((node) =>
    wanted.every(([key, value]) => node.labels[key] === value),
  );
  const [best] = [...fitting].sort((a, b) => a.podCount - b.podCount || compare(a.name, b.name));
  if (best !== undefined) return best;
  const selector = wanted.map(([key, value]) => `${key}=${value}`).join(", ");
  return `no node has the labels ${selector || "(none)"} that nodeSelector asks for`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
