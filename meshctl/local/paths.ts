/**
 * Where a cluster keeps what it writes: a tmpfs over /run in the mount namespace of its init, seen
 * by nobody else and gone with it. From outside the same files are under /proc/PID/root.
 */
import { join } from "node:path";

/** The mount point: it exists on every system, so that nothing has to be made on the machine. */
export const RUN_MOUNT = "/run";

export interface ClusterPaths {
  readonly root: string;
  /** What an API server would hold; istiod-lite's source. */
  readonly objects: string;
  /** What istiod-lite writes back: annotations, conditions. */
  readonly overlay: string;
  /** What istiod-lite wants to run: waypoints. */
  readonly owned: string;
  readonly controlSocket: string;
  /** Filled by test fixtures that have no folder of their own. */
  readonly folder: string;
  readonly ca: string;
  readonly tokenKeys: string;
  /** Per node: one file per pod uid with the pid of its sandbox. */
  sandboxes(node: string): string;
  /** A pod's private files: its root's upper layer, volumes, wires. */
  podDir(uid: string): string;
  podLogs(namespace: string, pod: string): string;
  containerLog(namespace: string, pod: string, container: string): string;
  /** Where a node's CNI agent and its stock ztunnel meet. */
  zdsSocket(node: string): string;
  /** The token file of a mesh process. */
  token(name: string): string;
}

/** `prefix` is "" inside the cluster and `/proc/PID/root` outside. */
export function clusterPaths(prefix = ""): ClusterPaths {
  const root = join(`${prefix}${RUN_MOUNT}`, "ambient-mesh");
  const podLogs = (namespace: string, pod: string) => join(root, "logs", `${namespace}_${pod}`);
  return {
    root,
    objects: join(root, "state/objects"),
    overlay: join(root, "state/overlay"),
    owned: join(root, "state/owned"),
    controlSocket: join(root, "control.sock"),
    folder: join(root, "folder"),
    ca: join(root, "ca"),
    tokenKeys: join(root, "token-keys"),
    sandboxes: (node) => join(root, "sandboxes", node),
    podDir: (uid) => join(root, "pods", uid),
    podLogs,
    containerLog: (namespace, pod, container) => join(podLogs(namespace, pod), `${container}.log`),
    zdsSocket: (node) => join(root, "zds", `${node}.sock`),
    token: (name) => join(root, "tokens", name),
  };
}

/** The log of a container's previous run, beside the current one. */
export function previousLog(log: string): string {
  return `${log}.previous`;
}
