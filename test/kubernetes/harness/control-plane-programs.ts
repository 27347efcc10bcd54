/** How etcd, the API server, the controller manager and the scheduler are run. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { API_SERVER_PORT, CONTROL_PLANE_ADDRESS, POD_CIDRS, SERVICE_CIDRS } from "./addresses.ts";
import { Daemon } from "./daemon.ts";
import type { Namespaces } from "./namespaces.ts";
import type { ClusterPki } from "./pki.ts";
import type { Site } from "./site.ts";

export interface ControlPlanePrograms {
  readonly etcd: Daemon;
  readonly apiServer: Daemon;
  readonly controllerManager: Daemon;
  readonly scheduler: Daemon;
}

export const ETCD_URL = "http://127.0.0.1:2379";

export interface ControlPlaneProgramOptions {
  readonly site: Site;
  readonly namespaces: Namespaces;
  /** The kubeconfigs of its own programs. */
  readonly kubeconfigs: Readonly<Record<"controller-manager" | "scheduler", string>>;
}

/** Nothing runs yet. */
export function controlPlanePrograms(options: ControlPlaneProgramOptions): ControlPlanePrograms {
  const { namespaces } = options;
  const { tools, pki, runFolder } = options.site;
  const daemon = (name: string, args: readonly string[]) =>
    new Daemon(name, namespaces, [tools.program(name), ...args]);
  mkdirSync(join(runFolder, "etcd"), { recursive: true, mode: 0o700 });
  return {
    etcd: daemon("etcd", etcdArguments(runFolder)),
    apiServer: daemon("kube-apiserver", apiServerArguments(pki)),
    controllerManager: daemon("kube-controller-manager", controllerManagerArguments(options)),
    scheduler: daemon("kube-scheduler", [
      ...kubeconfigArguments(options.kubeconfigs.scheduler),
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      `--cert-dir=${join(runFolder, "scheduler")}`,
    ]),
  };
}

function etcdArguments(runFolder: string): string[] {
  const peer = "http://127.0.0.1:2380";
  return [
    "--name=test",
    `--data-dir=${join(runFolder, "etcd")}`,
    `--listen-client-urls=${ETCD_URL}`,
    `--advertise-client-urls=${ETCD_URL}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    // Nothing here has to survive a power cut.
    "--unsafe-no-fsync",
  ];
}

function apiServerArguments(pki: ClusterPki): string[] {
  return [
    `--etcd-servers=${ETCD_URL}`,
    "--bind-address=0.0.0.0",
    `--advertise-address=${CONTROL_PLANE_ADDRESS}`,
    `--secure-port=${API_SERVER_PORT}`,
    `--service-cluster-ip-range=${SERVICE_CIDRS}`,
    `--tls-cert-file=${pki.path("apiserver.crt")}`,
    `--tls-private-key-file=${pki.path("apiserver.key")}`,
    `--client-ca-file=${pki.path("ca.crt")}`,
    `--kubelet-client-certificate=${pki.path("apiserver-kubelet.crt")}`,
    `--kubelet-client-key=${pki.path("apiserver-kubelet.key")}`,
    "--kubelet-preferred-address-types=InternalIP",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${pki.path("sa.pub")}`,
    `--service-account-signing-key-file=${pki.path("sa.key")}`,
    ...aggregationArguments(pki),
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--profiling=false",
    // Otherwise an end in order waits a minute for watches, which nobody tells to end.
    "--shutdown-watch-termination-grace-period=2s",
    // There is no kube-proxy beside it: webhooks are called at their pods' addresses.
    "--enable-aggregator-routing=true",
  ];
}

/** One CA signs for both roles, so the name decides who may act for users. */
function aggregationArguments(pki: ClusterPki): string[] {
  return [
    `--requestheader-client-ca-file=${pki.path("ca.crt")}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
  ];
}

function controllerManagerArguments({ site, kubeconfigs }: ControlPlaneProgramOptions): string[] {
  const { pki, runFolder } = site;
  return [
    ...kubeconfigArguments(kubeconfigs["controller-manager"]),
    "--leader-elect=false",
    // The usual 20 requests/s make a start seconds longer.
    "--kube-api-qps=200",
    "--kube-api-burst=400",
    "--use-service-account-credentials",
    `--service-account-private-key-file=${pki.path("sa.key")}`,
    `--root-ca-file=${pki.path("ca.crt")}`,
    `--cluster-signing-cert-file=${pki.path("ca.crt")}`,
    `--cluster-signing-key-file=${pki.path("ca.key")}`,
    `--service-cluster-ip-range=${SERVICE_CIDRS}`,
    `--cluster-cidr=${POD_CIDRS}`,
    "--allocate-node-cidrs=false",
    // A node that says nothing is given up after 25 s, not 50: tests wait for it. An API server
    // that is started again on a busy machine is away for less.
    "--node-monitor-grace-period=25s",
    "--node-monitor-period=1s",
    "--bind-address=127.0.0.1",
    `--cert-dir=${join(runFolder, "controller-manager")}`,
  ];
}

function kubeconfigArguments(path: string): string[] {
  const roles = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"];
  return roles.map((role) => `--${role}=${path}`);
}
