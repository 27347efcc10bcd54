/** Which replica of the control plane leads, and how a pod of it is ended without notice. */
import type { KubernetesCluster } from "../harness/cluster.ts";

/** The name of the pod that holds the Lease; "" while nobody does. */
export async function leader(cluster: KubernetesCluster): Promise<string> {
  const holder = "jsonpath={.spec.holderIdentity}";
  const args = ["get", "lease", "istiod-lite-leader", "-n", "istio-system", "-o", holder];
  const { stdout } = await cluster.run(args);
  return stdout.replace(/_.*$/, "");
}

/** SIGKILL to the first process of a pod's container, from the node: nothing is told to anybody. */
export async function killInPod(
  cluster: KubernetesCluster,
  namespace: string,
  name: string,
  processPattern: string,
): Promise<void> {
  const paths = "jsonpath={.spec.nodeName} {.metadata.uid}";
  const found = await cluster.check(["get", "pod", name, "-n", namespace, "-o", paths]);
  const [nodeName, uid = ""] = found.split(" ");
  const node = cluster.nodes.find((each) => each.name === nodeName);
  if (node === undefined) throw new Error(`${name} is on no node`);
  // Its processes are those whose control group names the pod.
  const script = `for p in $(pgrep -f '${processPattern}'); do
    grep -q '${uid}' /proc/$p/cgroup && kill -9 $p && found=1
  done; [ "$found" = 1 ]`;
  await node.namespaces.check(["sh", "-c", script]);
}

/** The pods of the control plane. */
export async function istiodPods(
  cluster: KubernetesCluster,
): Promise<readonly { readonly name: string; readonly address: string }[]> {
  const list = ["get", "pods", "-n", "istio-system", "-l", "app=istiod", "-o", "json"];
  const { items } = JSON.parse(await cluster.check(list));
  return items.map((pod: { metadata: { name: string }; status: { podIP: string } }) => {
    return { name: pod.metadata.name, address: pod.status.podIP };
  });
}

/** How many connections to the API server a pod of the control plane takes for established. */
export async function apiConnections(cluster: KubernetesCluster, name: string): Promise<number> {
  const read = 'process.stdout.write(fs.readFileSync("/proc/net/tcp"))';
  const { stdout } = await cluster.exec(`istio-system/${name}`, ["node", "-e", read]);
  // As the kernel writes 10.96.0.1:443, the service `kubernetes`, and an established connection.
  if (!stdout.includes("rem_address")) throw new Error(`no connections of ${name}: ${stdout}`);
  return stdout.split(" 0100600A:01BB 01 ").length - 1;
}
