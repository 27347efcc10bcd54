/**
 * The nodes and what joins them. The cluster's init has a network namespace of its own: the fabric.
 * Each node is a namespace held by one sleeping process, so that nothing remains when the init is
 * gone.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { MeshError } from "#common/runtime/errors.ts";
import {
  fabricLines,
  type NodeWiring,
  nodeLines,
  plugNodeLines,
  routesTo,
  unplugNodeLines,
} from "./network-plan.ts";
import { inNetnsOf, runCommand } from "./run-command.ts";

/** A node that is up. */
export interface FabricNode extends NodeWiring {
  /** The process that holds its namespaces, as seen by the init. */
  readonly pid: number;
}

/**
 * Forwarding, and no address probing. The test is there because a kernel without IPv6 has no such
 * files.
 */
const NODE_SETTINGS = [
  ["ipv4/ip_forward", "1"],
  ["ipv6/conf/all/disable_ipv6", "0"],
  ["ipv6/conf/default/disable_ipv6", "0"],
  ["ipv6/conf/all/forwarding", "1"],
  ["ipv4/conf/all/send_redirects", "0"],
  ["ipv4/conf/default/send_redirects", "0"],
  ["ipv6/conf/all/accept_dad", "0"],
  ["ipv6/conf/default/accept_dad", "0"],
  // A closed connection is remembered for 20 s, not 120: a load test must not fill the kernel's
  // table.
  ["netfilter/nf_conntrack_tcp_timeout_time_wait", "20"],
  // Bridges only bridge: services are translated where packets are routed, once, and nowhere else.
  ["bridge/bridge-nf-call-iptables", "0"],
  ["bridge/bridge-nf-call-ip6tables", "0"],
  ["bridge/bridge-nf-call-arptables", "0"],
] as const;

const SETTINGS_SCRIPT = NODE_SETTINGS.map(
  ([name, value]) => `[ ! -e /proc/sys/net/${name} ] || echo ${value} > /proc/sys/net/${name}`,
).join("\n");

/** The settings come before any interface, which takes them over when it is made. */
const HOLDER_SCRIPT = `${SETTINGS_SCRIPT}
echo "$0" > /proc/sys/kernel/hostname
echo ready
exec env --ignore-signal=CHLD sleep infinity`;

export class Fabric {
  readonly #nodes = new Map<string, FabricNode>();
  readonly #holders = new Map<string, ChildProcess>();

  get nodes(): ReadonlyMap<string, FabricNode> {
    return this.#nodes;
  }

  /** Makes the fabric itself; to be called once, first. */
  async start(): Promise<void> {
    await runCommand(["sh", "-c", `${SETTINGS_SCRIPT}\nexec ip -batch -`], batch(fabricLines()));
  }

  /** Makes a node and routes between it and the others. */
  async addNode(wiring: NodeWiring): Promise<FabricNode> {
    const holder = spawn("unshare", ["--net", "--uts", "sh", "-c", HOLDER_SCRIPT, wiring.name], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { pid } = holder;
    if (pid === undefined) throw new MeshError("NODE_FAILED", `node ${wiring.name} did not start`);
    await once(holder.stdout, "data");
    holder.stdout.destroy();
    const node = { ...wiring, pid };
    const others = [...this.#nodes.values()];
    await runCommand(["ip", "-batch", "-"], batch(plugNodeLines(node, pid)));
    await runCommand(
      inNetnsOf(pid, ["ip", "-batch", "-"]),
      batch([...nodeLines(node), ...others.flatMap(routesTo)]),
    );
    for (const other of others) {
      await runCommand(inNetnsOf(other.pid, ["ip", "-batch", "-"]), batch(routesTo(node)));
    }
    this.#nodes.set(node.name, node);
    this.#holders.set(node.name, holder);
    return node;
  }

  /** Takes a node out; its pods must be gone. */
  async removeNode(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#nodes.delete(name);
    await runCommand(["ip", "-batch", "-"], batch(unplugNodeLines(node)));
    this.#holders.get(name)?.kill("SIGKILL");
    this.#holders.delete(name);
  }
}

function batch(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
