/**
 * What runs on a node for the mesh: this project's ztunnel, which captures its pods itself; or a
 * stock ztunnel, and beside it a CNI agent that captures the pods and hands them over. Names,
 * images and accounts are those of Istio's charts.
 */
import { join } from "node:path";
import type { Pod } from "#common/kubernetes/objects.ts";
import { ISTIOD_XDS_PORT, READINESS_PORT } from "#common/model/ports.ts";
import type { ClusterSettings, MeshProcessSettings } from "#meshctl/local/cluster-settings.ts";
import { FABRIC_IPS } from "#meshctl/local/network/network-plan.ts";
import type { ClusterNode } from "#meshctl/local/network/node-manager.ts";
import { ISTIO_NAMESPACE } from "#meshctl/local/objects/built-ins.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import { meshPod } from "./mesh-pod.ts";

export const ztunnelName = (node: string): string => `ztunnel-${node}`;
export const cniAgentName = (node: string): string => `istio-cni-${node}`;

const ISTIOD_HOSTNAME = "istiod.istio-system.svc";
const CLUSTER_ID = "Kubernetes";
/** Source: istio/istio manifests/charts/istio-cni. */
const CNI_READINESS_PORT = 8000;
const CNI_METRICS_PORT = 15014;

export interface NodeProgram {
  readonly pod: Pod;
  readonly container: string;
  readonly env: Readonly<Record<string, string>>;
  readonly settings: MeshProcessSettings;
  /** Says on a descriptor when it is ready, so that one can replace another. */
  readonly notifies: boolean;
}

/** The stock ztunnel that a node runs in place of this project's, if it does. */
export function stockZtunnelOf(settings: ClusterSettings, node: string): string | undefined {
  const { byNode = {}, everywhere } = settings.stockZtunnel ?? {};
  return byNode[node] ?? everywhere;
}

/** The programs of one node, its ztunnel first. */
export function nodePrograms(
  settings: ClusterSettings,
  paths: ClusterPaths,
  node: ClusterNode,
): readonly NodeProgram[] {
  const { name } = node.wiring;
  const own = settings.ztunnel ?? {};
  const binary = stockZtunnelOf(settings, name);
  if (binary === undefined) return [ztunnel(name, ownEnv(paths, node), own)];
  const stock = { ...own, command: [binary] };
  return [ztunnel(name, stockEnv(paths, node), stock), cniAgent(name, agentEnv(paths, node))];
}

function ztunnel(
  node: string,
  env: Readonly<Record<string, string>>,
  settings: MeshProcessSettings,
): NodeProgram {
  const container = "istio-proxy";
  const pod = meshPod({
    name: ztunnelName(node),
    app: "ztunnel",
    container,
    image: "istio/ztunnel",
    nodeName: node,
    args: ["proxy", "ztunnel"],
    readinessProbe: { httpGet: { path: "/healthz/ready", port: READINESS_PORT } },
  });
  return { pod, container, env, settings, notifies: settings.command === undefined };
}

function cniAgent(node: string, env: Readonly<Record<string, string>>): NodeProgram {
  const container = "install-cni";
  const pod = meshPod({
    name: cniAgentName(node),
    app: "istio-cni-node",
    container,
    image: "istio/install-cni",
    nodeName: node,
    args: [],
    readinessProbe: { httpGet: { path: "/healthz/ready", port: CNI_READINESS_PORT } },
  });
  return { pod, container, env, settings: {}, notifies: false };
}

/** What every program of a node that speaks to istiod-lite is told, by Istio's names. */
function commonEnv(paths: ClusterPaths, { wiring }: ClusterNode): Record<string, string> {
  const istiod = `https://${FABRIC_IPS[0]}:${ISTIOD_XDS_PORT}`;
  const rootCert = rootCertFile(paths);
  return {
    NODE_NAME: wiring.name,
    INSTANCE_IP: wiring.ips[0] ?? "",
    POD_NAME: ztunnelName(wiring.name),
    POD_NAMESPACE: ISTIO_NAMESPACE,
    SERVICE_ACCOUNT: "ztunnel",
    CLUSTER_ID,
    XDS_ADDRESS: istiod,
    CA_ADDRESS: istiod,
    ALT_XDS_HOSTNAME: ISTIOD_HOSTNAME,
    ALT_CA_HOSTNAME: ISTIOD_HOSTNAME,
    XDS_ROOT_CA: rootCert,
    CA_ROOT_CA: rootCert,
    // The agent shows its ztunnel's: istiod-lite tells a node's pods to that account only.
    AUTH_TOKEN: paths.token(ztunnelName(wiring.name)),
  };
}

function ownEnv(paths: ClusterPaths, node: ClusterNode): Record<string, string> {
  return {
    ...commonEnv(paths, node),
    // Beside the CA's own files, as in Istio's secret: whoever is on it is out.
    CRL_PATH: join(paths.ca, "ca-crl.pem"),
    POD_SANDBOXES_DIR: paths.sandboxes(node.wiring.name),
    LOG_FORMAT: "text",
  };
}

function stockEnv(paths: ClusterPaths, node: ClusterNode): Record<string, string> {
  const socket = paths.zdsSocket(node.wiring.name);
  return { ...commonEnv(paths, node), PROXY_MODE: "shared", INPOD_UDS: socket, RUST_LOG: "info" };
}

function agentEnv(paths: ClusterPaths, node: ClusterNode): Record<string, string> {
  return {
    ...ownEnv(paths, node),
    INPOD_UDS: paths.zdsSocket(node.wiring.name),
    READINESS_PORT: String(CNI_READINESS_PORT),
    STATS_PORT: String(CNI_METRICS_PORT),
  };
}

export function rootCertFile(paths: ClusterPaths): string {
  return join(paths.ca, "root-cert.pem");
}
