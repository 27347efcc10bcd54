/**
 * Finds the network namespace of a pod on this node, and makes sure that it is that pod's. A
 * process id can be reused and a directory can be stale: a namespace that holds none of the pod's
 * addresses is never touched, or one pod's traffic would carry another one's identity
 * (istio/istio#61211).
 */
import fs from "node:fs";
import path from "node:path";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { addressesIn } from "./netns-addresses.ts";

/**
 * `found` hands over an open namespace, which the caller closes. `missing`: the pod has no sandbox
 * (not yet, or not any more). `foreign`: there is one (`netnsId`), and it does not hold the pod's
 * addresses.
 */
export type NetnsSearch =
  | { readonly kind: "found"; readonly netns: Netns }
  | { readonly kind: "missing"; readonly message: string }
  | { readonly kind: "foreign"; readonly netnsId: string; readonly message: string };

/** One way to find sandboxes; others can ask a container runtime or walk cgroups. */
export interface PodNetnsFinder {
  /**
   * Throws only for what may pass by itself, such as a lack of descriptors. A namespace whose id is
   * `trusted` was found to be the pod's a moment ago, and is not looked into again.
   */
  find(pod: CapturedPod, trusted?: string): Promise<NetnsSearch>;
  /**
   * Calls back with the uid of a pod whose sandbox may have come, changed or gone. Undefined where
   * nothing tells of that; `find` sees it all the same.
   */
  watch(onChange: (podUid: string) => void): { close(): void } | undefined;
}

// Pod UIDs are UUIDs (or the hash of a static pod's manifest): nothing that could leave the
// directory.
const POD_UID = /^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/;
const PROCESS_ID = /^[1-9][0-9]{0,9}$/;
const GONE = new Set(["ENOENT", "ESRCH", "ENOTDIR"]);

/** Finds sandboxes in a directory (POD_SANDBOXES_DIR): the file `<pod uid>` holds a process id. */
export class SandboxDirectoryFinder implements PodNetnsFinder {
  readonly #sys: Syscalls;
  readonly #directory: string;

  constructor(sys: Syscalls, directory: string) {
    this.#sys = sys;
    this.#directory = directory;
  }

  watch(onChange: (podUid: string) => void): { close(): void } | undefined {
    try {
      const watcher = fs.watch(this.#directory, { persistent: false }, (_event, name) => {
        if (name !== null) onChange(name);
      });
      watcher.on("error", () => watcher.close());
      return watcher;
    } catch {
      // No such directory yet, or no inotify instance left.
      return undefined;
    }
  }

  async find(pod: CapturedPod, trusted?: string): Promise<NetnsSearch> {
    if (!POD_UID.test(pod.uid)) {
      return { kind: "missing", message: `pod uid ${JSON.stringify(pod.uid)} is not valid` };
    }
    const file = path.join(this.#directory, pod.uid);
    let text: string;
    try {
      // A few bytes of a file system in memory, every few seconds: not worth a thread's time.
      text = fs.readFileSync(file, "utf8").trim();
    } catch (error) {
      return gone(error, `the pod has no sandbox on this node (no file ${file})`);
    }
    if (!PROCESS_ID.test(text)) {
      return { kind: "missing", message: `${file} does not hold a process id` };
    }
    return this.#open(pod, text, trusted);
  }

  #open(pod: CapturedPod, processId: string, trusted: string | undefined): NetnsSearch {
    let netns: Netns;
    try {
      netns = this.#sys.openNetns(`/proc/${processId}/ns/net`);
    } catch (error) {
      return gone(error, `the pod's sandbox process ${processId} is gone`);
    }
    const problem = netns.id === trusted ? undefined : findMismatch(this.#sys, netns, pod);
    if (problem === undefined) return { kind: "found", netns };
    this.#sys.closeNetns(netns);
    return { kind: "foreign", netnsId: netns.id, message: `process ${processId}: ${problem}` };
  }
}

/** Whether what was to be opened or read is not there (any more). */
export function isGone(error: unknown): boolean {
  const code = errorCode(error);
  return code !== undefined && GONE.has(code);
}

function errorCode(error: unknown): string | undefined {
  if (error instanceof MeshError) return error.code;
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** Why the namespace is not the pod's; undefined if it is. `nodeId`: that of the node itself. */
export function findMismatch(
  sys: Syscalls,
  netns: Netns,
  pod: Pick<CapturedPod, "ips">,
  nodeId?: string,
): string | undefined {
  const own = sys.openNetns("/proc/thread-self/ns/net");
  sys.closeNetns(own);
  if ([own.id, nodeId].includes(netns.id)) return "shares the node's network namespace";
  if (pod.ips.length === 0) return "the pod has no address yet";
  const held = addressesIn(sys, netns);
  if (pod.ips.some((ip) => held.has(ip))) return undefined;
  const addresses = [...held].join(", ") || "no address";
  return `its network namespace holds ${addresses}, not the pod's ${pod.ips.join(", ")}`;
}

function gone(error: unknown, message: string): NetnsSearch {
  if (isGone(error)) return { kind: "missing", message };
  const code = errorCode(error);
  throw new MeshError(code ?? "EIO", "the pod's sandbox cannot be looked at", { cause: error });
}
