/**
 * How this ztunnel reaches its node and the pods on it: by a directory that names their sandboxes
 * (POD_SANDBOXES_DIR, as in a cluster of namespaces), where it runs in the node's own network; or,
 * on Kubernetes, by the node's processes, from a pod that sees them (hostPID).
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { type PodNetnsFinder, SandboxDirectoryFinder } from "./capture/pod-netns.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { PodProcesses } from "./node/pod-processes.ts";
import { type KnownSandboxes, ProcessNetnsFinder } from "./node/process-netns-finder.ts";
import type { Netns, Syscalls } from "./sys/syscalls.ts";

export interface NodeAccess {
  readonly finder: PodNetnsFinder;
  /** Where kubelet's probes come from; stays open as long as the process lives. */
  readonly node: Netns;
}

/** Finds a pod's resolv.conf, as this process sees it; undefined where it cannot. */
export type ResolvConfLocator = (pod: CapturedPod) => Promise<string | undefined>;

export interface NodeAccessDeps {
  readonly sys: Syscalls;
  readonly processes: PodProcesses;
  /** What a CNI plugin tells, where there is one. */
  readonly sandboxes?: KnownSandboxes;
}

export function createNodeAccess(
  config: Pick<ZtunnelConfig, "podSandboxesDir" | "nodeNetns">,
  { sys, processes, sandboxes }: NodeAccessDeps,
): NodeAccess {
  const node = openNode(sys, config.nodeNetns);
  const { podSandboxesDir: directory } = config;
  if (directory !== undefined) return { node, finder: new SandboxDirectoryFinder(sys, directory) };
  const deps = { sys, nodeId: node.id, processes, ...(sandboxes && { sandboxes }) };
  return { node, finder: new ProcessNetnsFinder(deps) };
}

/** The resolv.conf of a pod: what a kubelet gives to its sandbox and all of its containers. */
export function resolvConfLocator(
  { podSandboxesDir: directory }: Pick<ZtunnelConfig, "podSandboxesDir">,
  processes: PodProcesses,
): ResolvConfLocator {
  const processOf = directory === undefined ? oldestProcess(processes) : inDirectory(directory);
  return async (pod) => {
    const processId = await processOf(pod);
    return processId === undefined ? undefined : `/proc/${processId}/root/etc/resolv.conf`;
  };
}

/** Of those of the pod; walks /proc only if none is known. */
function oldestProcess(processes: PodProcesses): ResolvConfLocator {
  return async ({ uid }) => {
    const known = (await processes.of(uid)).at(0);
    if (known !== undefined) return known;
    await processes.refresh();
    return (await processes.of(uid)).at(0);
  };
}

function inDirectory(directory: string): ResolvConfLocator {
  return async ({ uid }) => {
    try {
      const processId = (await readFile(path.join(directory, uid), "utf8")).trim();
      return /^[1-9][0-9]{0,9}$/.test(processId) ? processId : undefined;
    } catch {
      return undefined; // No sandbox directory, as with a CNI agent: ztunnel's own file is taken.
    }
  };
}

/** Throws MeshError NODE_UNREACHABLE. */
export function openNode(sys: Syscalls, file: string): Netns {
  try {
    return sys.openNetns(file);
  } catch (cause) {
    const why = describeError(cause);
    throw new MeshError(
      "NODE_UNREACHABLE",
      `the node's network namespace cannot be opened: ${why}`,
      {
        cause,
        hint:
          "the pod needs hostPID: true and the capability SYS_PTRACE; " +
          "NODE_NETNS names another file than /proc/1/ns/net",
      },
    );
  }
}
