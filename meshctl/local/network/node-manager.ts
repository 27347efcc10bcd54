/** The nodes of a cluster: those of the folder, or two. */
import type { Node } from "#common/kubernetes/objects.ts";
import { type Cidr, formatCidr, parseCidr } from "#common/model/ip.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { AddressPool, defaultPodCidrs } from "./addresses.ts";
import type { Fabric, FabricNode } from "./fabric.ts";
import { nodeIps } from "./network-plan.ts";
import { inNetnsOf, runCommand } from "./run-command.ts";

const DEFAULT_NODES: readonly Node[] = ["node1", "node2"].map((name) => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name },
}));

/** The label by which a pod asks for a node; each node has its own name there. */
const HOSTNAME_LABEL = "kubernetes.io/hostname";

/** The gateway has the first address of a pod block. */
const FIRST_POD_INDEX = 2;

export interface ClusterNode {
  readonly wiring: FabricNode;
  readonly netns: Netns;
  readonly pool: AddressPool;
  readonly labels: Readonly<Record<string, string>>;
  /** As it is published. */
  readonly object: Node;
}

export class NodeManager {
  readonly #fabric: Fabric;
  readonly #sys: Syscalls;
  readonly #nodes = new Map<string, ClusterNode>();
  /** What each node's address translation was told last. */
  readonly #rules = new Map<string, string>();

  constructor(fabric: Fabric, sys: Syscalls) {
    this.#fabric = fabric;
    this.#sys = sys;
  }

  get nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()];
  }

  /**
   * Makes nodes that are missing. Those that are no longer wanted are taken from the list and
   * returned.
   */
  async sync(wanted: readonly Node[]): Promise<readonly ClusterNode[]> {
    const objects = wanted.length === 0 ? DEFAULT_NODES : wanted;
    const names = new Set(objects.map((node) => node.metadata.name));
    const gone = this.nodes.filter((node) => !names.has(node.wiring.name));
    for (const node of gone) this.#nodes.delete(node.wiring.name);
    for (const object of objects) {
      const old = this.#nodes.get(object.metadata.name);
      if (old === undefined) await this.#add(object);
      else this.#nodes.set(object.metadata.name, relabelled(old, object));
    }
    return gone;
  }

  /** Takes a node out whose pods are gone. */
  async remove(node: ClusterNode): Promise<void> {
    this.#rules.delete(node.wiring.name);
    this.#sys.closeNetns(node.netns);
    await this.#fabric.removeNode(node.wiring.name);
  }

  /** Gives a node its address translation, unless it has the very same already. */
  async applyRules(node: ClusterNode, rules: string): Promise<void> {
    const { name, pid } = node.wiring;
    if (this.#rules.get(name) === rules) return;
    await runCommand(inNetnsOf(pid, ["nft", "-f", "-"]), rules);
    this.#rules.set(name, rules);
  }

  async #add(object: Node): Promise<void> {
    const used = new Set([...this.#fabric.nodes.values()].map((node) => node.number));
    let number = 1;
    while (used.has(number)) number++;
    const podCidrs = podCidrsOf(object, number);
    const { name } = object.metadata;
    const wiring = await this.#fabric.addNode({ name, number, ips: nodeIps(number), podCidrs });
    const netns = this.#sys.openNetns(`/proc/${wiring.pid}/ns/net`);
    const pool = new AddressPool(podCidrs, FIRST_POD_INDEX);
    this.#nodes.set(name, describe({ wiring, netns, pool }, object));
  }
}

/** The node's own blocks if the folder names some, else the next of the cluster's. */
function podCidrsOf(node: Node, number: number): readonly Cidr[] {
  const own = node.spec?.podCIDRs ?? (node.spec?.podCIDR === undefined ? [] : [node.spec.podCIDR]);
  const parsed = own.flatMap((text) => parseCidr(text) ?? []);
  return parsed.length === 0 ? defaultPodCidrs(number) : parsed;
}

/**
 * Labels may change while a node is up; nothing else does. Keeps the value where nothing changed.
 */
function relabelled(old: ClusterNode, object: Node): ClusterNode {
  const fresh = describe(old, object);
  return JSON.stringify(fresh.object) === JSON.stringify(old.object)
    ? old
    : Object.assign(old, fresh);
}

function describe(node: Pick<ClusterNode, "wiring" | "netns" | "pool">, object: Node): ClusterNode {
  const { name, ips, podCidrs } = node.wiring;
  const labels = { [HOSTNAME_LABEL]: name, ...object.metadata.labels };
  const cidrs = podCidrs.map(formatCidr);
  return {
    wiring: node.wiring,
    netns: node.netns,
    pool: node.pool,
    labels,
    object: {
      ...object,
      metadata: { ...object.metadata, labels },
      spec: { ...object.spec, podCIDR: cidrs[0] ?? "", podCIDRs: cidrs },
      status: {
        ...object.status,
        addresses: [
          ...ips.map((address) => ({ type: "InternalIP", address })),
          { type: "Hostname", address: name },
        ],
      },
    },
  };
}
