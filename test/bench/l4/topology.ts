/**
 * The cluster that everything is measured on: two nodes; a client on the first, a server on each.
 * One namespace has them in the mesh, another has the same outside of it.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { clusterPaths } from "#meshctl/local/paths.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import type { Mode, Placement } from "./metrics.ts";

export const NODES = ["node1", "node2"] as const;
export const MESH_NAMESPACE = "bench";
const DIRECT_NAMESPACE = "bench-direct";
export const ECHO_PORT = 8078;

const ECHO_SERVER = fileURLToPath(new URL("load/server-main.ts", import.meta.url));

/** The pods of one namespace, by what they do; a pod's service account has its name. */
export const PODS = [
  { name: "client", node: "node1" },
  { name: "server-cross-node", node: "node2" },
  { name: "server-same-node", node: "node1" },
] as const;

/**
 * Many short connections between the same two addresses: conntrack must forget them, and their
 * ports must be free again, faster than is usual. Files below /proc/sys/net, which every namespace
 * has of its own.
 */
const SETTINGS = {
  "netfilter/nf_conntrack_tcp_timeout_time_wait": "1",
  "netfilter/nf_conntrack_tcp_timeout_close": "1",
  "ipv4/ip_local_port_range": "16384 65000",
  "ipv4/tcp_tw_reuse": "1",
};

/** Who talks to whom in a measurement. */
export interface Route {
  /** `namespace/name`. */
  readonly client: string;
  readonly server: string;
  readonly serverIp: IpAddress;
}

/**
 * As in an image, ztunnel finds its code compiled; in the cluster's own files, which go with it.
 */
const COMPILE_CACHE = join(clusterPaths().root, "compile-cache");

export async function startTopology(): Promise<TestCluster> {
  const cluster = await startCluster({
    ztunnel: { env: { NODE_COMPILE_CACHE: COMPILE_CACHE } },
    objects: [
      ...objects(MESH_NAMESPACE, { "istio.io/dataplane-mode": "ambient" }),
      ...objects(DIRECT_NAMESPACE, {}),
    ],
  });
  try {
    await applySettings(cluster);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

export async function routeOf(
  cluster: TestCluster,
  mode: Mode,
  placement: Placement,
): Promise<Route> {
  const namespace = mode === "direct" ? DIRECT_NAMESPACE : MESH_NAMESPACE;
  const server = `${namespace}/server-${placement}`;
  const serverIp = parseIp(await cluster.podIp(server));
  if (serverIp === undefined) throw new MeshError("NO_ADDRESS", `${server} has no address`);
  return { client: `${namespace}/client`, server, serverIp };
}

async function applySettings(cluster: TestCluster): Promise<void> {
  const script = Object.entries(SETTINGS)
    .map(([file, value]) => `echo ${value} > /proc/sys/net/${file}`)
    .join("\n");
  const argv = ["sh", "-ec", script];
  const pods = [MESH_NAMESPACE, DIRECT_NAMESPACE].flatMap((namespace) =>
    PODS.map(({ name }) => `${namespace}/${name}`),
  );
  const results = await Promise.all([
    ...pods.map((pod) => cluster.inPodNetns(pod, argv)),
    ...NODES.map((node) => cluster.inNodeNetns(node, argv)),
  ]);
  const failed = results.find(({ code }) => code !== 0);
  if (failed === undefined) return;
  throw new MeshError("SETTINGS_FAILED", `cannot prepare the namespaces: ${failed.stderr.trim()}`);
}

function objects(namespace: string, labels: Record<string, string>): readonly object[] {
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } },
    ...PODS.map(({ name }) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace },
    })),
    ...PODS.map(({ name, node }) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace },
      spec: {
        nodeName: node,
        serviceAccountName: name,
        terminationGracePeriodSeconds: 0,
        containers: name === "client" ? [IDLE] : SERVERS,
      },
    })),
  ];
}

const IDLE = { name: "idle", image: "registry.k8s.io/pause" };

const SERVERS = [
  { name: "iperf3", image: "networkstatic/iperf3", args: ["-s"] },
  { name: "echo", image: "node", command: ["node", ECHO_SERVER, String(ECHO_PORT)] },
];
