/**
 * What the kernel has of a pod's network, and what the mesh could have left on a node: to compare
 * before and after.
 */
import type { KubernetesCluster } from "../harness/cluster.ts";
import type { KubernetesNode } from "../harness/node.ts";

/** Each command's output is compared as a whole. */
const OF_A_POD = [
  "nft list ruleset",
  "ip rule",
  "ip -6 rule",
  "ip route show table all",
  "ip -6 route show table all",
  "ip -o link",
  // Who listens, without the numbers that change with each look.
  "ss -Hlntu | tr -s ' ' | cut -d' ' -f1,2,5 | sort",
  "sysctl net.ipv4.tcp_migrate_req net.ipv4.ip_nonlocal_bind net.ipv4.conf.all.route_localnet",
];

/** Without what kube-proxy does there. */
const OF_A_NODE = [
  "nft list tables | grep -v kube-proxy",
  "ip rule",
  "ip -6 rule",
  "ss -Hlnt | tr -s ' ' | cut -d' ' -f4 | sort | grep -v 127.0.0.1",
  "for f in /etc/cni/net.d/*; do echo $f; cat $f; done",
  "find /opt/cni/bin -type f | sort | xargs sha256sum",
  "find /run/ambient-mesh ! -type d 2>/dev/null",
];

/** Of the one pod of an app. */
export async function podNetworkState(
  cluster: KubernetesCluster,
  namespace: string,
  app: string,
): Promise<string> {
  const paths = "jsonpath={.items[0].spec.nodeName} {.items[0].status.podIP}";
  const args = ["get", "pods", "-n", namespace, "-l", `app=${app}`, "-o", paths];
  const [name, address] = (await cluster.check(args)).split(" ");
  const node = cluster.nodes.find((each) => each.name === name);
  if (node === undefined) throw new Error(`${namespace}/${app} is on no node`);
  const inside = OF_A_POD.map((command) => `echo "# ${command}"; ${command} || true`).join("; ");
  // containerd has a name for every sandbox's network.
  const script = `for n in /run/netns/*; do
    nsenter --net=$n ip -o addr | grep -qF ' ${address}/' || continue
    exec nsenter --net=$n sh -c '${inside.replaceAll("'", `'\\''`)}'
  done; echo "no network holds ${address}" >&2; exit 1`;
  return await node.namespaces.check(["sh", "-c", script]);
}

export async function nodeState(node: KubernetesNode): Promise<string> {
  const script = OF_A_NODE.map((command) => `echo "# ${command}"; ${command} || true`).join("\n");
  return await node.namespaces.check(["sh", "-c", script]);
}
