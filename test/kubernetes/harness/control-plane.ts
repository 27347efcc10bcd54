/** The control plane's namespaces, its start, and what can befall it. */
import {
  API_SERVER_PORT,
  API_SERVICE_ADDRESS,
  CONTROL_PLANE_ADDRESS,
  CONTROL_PLANE_ADDRESS_V6,
  nodeAddress,
  nodeAddressV6,
  nodePodCidr,
  nodePodCidrV6,
} from "./addresses.ts";
import { type ControlPlanePrograms, controlPlanePrograms } from "./control-plane-programs.ts";
import { Kubectl } from "./kubectl.ts";
import { type HostLink, linkHost } from "./links.ts";
import { Namespaces } from "./namespaces.ts";
import type { Site } from "./site.ts";
import { waitFor } from "./wait-for.ts";

export interface ControlPlane extends ControlPlanePrograms {
  readonly namespaces: Namespaces;
  readonly link: HostLink;
  /** The administrator's kubeconfig, for this machine. */
  readonly kubeconfig: string;
}

/** A bridge that nodes' links join, and the ways to their pods. */
const SETUP = `ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
ip link add nodes type bridge
ip link set nodes up
ip addr add ${CONTROL_PLANE_ADDRESS}/24 dev nodes
ip addr add ${CONTROL_PLANE_ADDRESS_V6}/64 dev nodes nodad
ip route add ${nodePodCidr(1)} via ${nodeAddress(1)}
ip route add ${nodePodCidr(2)} via ${nodeAddress(2)}
ip route add ${nodePodCidrV6(1)} via ${nodeAddressV6(1)}
ip route add ${nodePodCidrV6(2)} via ${nodeAddressV6(2)}`;

const SERVER_NAMES = [
  "DNS:kubernetes",
  "DNS:kubernetes.default",
  "DNS:kubernetes.default.svc",
  "DNS:kubernetes.default.svc.cluster.local",
  "DNS:localhost",
  "IP:127.0.0.1",
  `IP:${CONTROL_PLANE_ADDRESS}`,
  `IP:${API_SERVICE_ADDRESS}`,
];

/** Where the cluster's own programs find the API server. */
export const API_SERVER_URL = `https://${CONTROL_PLANE_ADDRESS}:${API_SERVER_PORT}`;

/** Resolves when the API server is ready and the controllers act. */
export async function startControlPlane(site: Site): Promise<ControlPlane> {
  const { name: clusterName, runFolder, tools, pki } = site;
  const place = { name: "control-plane", clusterName, runFolder, setup: SETUP };
  const namespaces = await Namespaces.start(place);
  const link = await linkHost(namespaces);
  await pki.create([...SERVER_NAMES, `IP:${link.cluster}`]);
  const kubeconfigs = {
    "controller-manager": await pki.writeKubeconfig("controller-manager", API_SERVER_URL),
    scheduler: await pki.writeKubeconfig("scheduler", API_SERVER_URL),
  };
  await pki.writeKubeconfig("proxy", API_SERVER_URL);
  const server = `https://${link.cluster}:${API_SERVER_PORT}`;
  const kubeconfig = await pki.writeKubeconfig("admin", server);
  const programs = controlPlanePrograms({ site, namespaces, kubeconfigs });
  programs.etcd.start();
  programs.apiServer.start();
  const kubectl = new Kubectl(tools.program("kubectl"), kubeconfig);
  await apiServerReady(kubectl);
  // Before the API server is ready the controller manager ends at once.
  programs.controllerManager.start();
  programs.scheduler.start();
  const account = ["get", "serviceaccount", "default", "-o", "name"];
  await waitFor("the controllers to make the default service account", () =>
    kubectl.check(account),
  );
  return { ...programs, namespaces, link, kubeconfig };
}

/** Resolves when it says itself that it is ready. */
export async function apiServerReady(kubectl: Kubectl): Promise<void> {
  const ready = () => kubectl.check(["get", "--raw=/readyz"], { timeoutMs: 5_000 });
  await waitFor("the API server to be ready", ready, { timeoutMs: 120_000 });
}
