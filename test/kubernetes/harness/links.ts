/** The links of a cluster: each node with the control plane, and this machine with the latter. */
import { run } from "#test/support/run.ts";
import { LINK_COUNT, linkAddresses } from "./addresses.ts";
import type { Namespaces } from "./namespaces.ts";

export interface HostLink {
  /** Where the cluster reaches what listens on this machine. */
  readonly host: string;
  /** Where this machine reaches the API server. */
  readonly cluster: string;
}

/**
 * Joins this machine with the control plane at addresses that no other cluster has: the name of
 * the link is taken by whoever makes it first. It goes with the control plane's namespaces.
 */
export async function linkHost(controlPlane: Namespaces): Promise<HostLink> {
  for (let index = 0; index < LINK_COUNT; index += 1) {
    const { host, cluster } = linkAddresses(index);
    const name = `kube-test${index}`;
    const inside = `peer name host netns ${controlPlane.pid}`;
    const made = await run(["sh", "-c", `ip link add ${name} type veth ${inside}`]);
    if (made.code !== 0 && made.stderr.includes("File exists")) continue;
    if (made.code !== 0) throw new Error(`ip link add ${name}: ${made.stderr}`);
    await check(["ip", "addr", "add", `${host}/30`, "dev", name]);
    await check(["ip", "link", "set", name, "up"]);
    await controlPlane.check(["ip", "addr", "add", `${cluster}/30`, "dev", "host"]);
    await controlPlane.check(["ip", "link", "set", "host", "up"]);
    return { host, cluster };
  }
  throw new Error(`${LINK_COUNT} clusters run already: ip link show type veth lists their links`);
}

/** Gives a node its eth0; the other end, on the control plane's bridge, has the node's name. */
export async function linkNode(controlPlane: Namespaces, node: Namespaces): Promise<void> {
  // The kernel takes the link of a node that was switched off away in its own time.
  const unplug = `ip link del ${node.name} 2>/dev/null`;
  const ends = `ip link add ${node.name} type veth peer name eth0 netns ${node.pid}`;
  const script = `${unplug}; ${ends} && ip link set ${node.name} master nodes up`;
  // Only its network: the pid in the command is this machine's.
  await check(["nsenter", `--target=${controlPlane.pid}`, "--net", "sh", "-c", script]);
}

async function check(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await run(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
}
