/**
 * Finds pods' network namespaces on a Kubernetes node: by what the CNI plugin told of a sandbox
 * when it was made, else by the pod's processes. Of these the oldest whose namespace holds the
 * pod's address is taken, which is the sandbox's own ("pause"): a later process of the pod may have
 * gone to another namespace (istio/istio#55139, #61211).
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import {
  findMismatch,
  isGone,
  type NetnsSearch,
  type PodNetnsFinder,
} from "#ztunnel/capture/pod-netns.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { CANDIDATES_PER_POD } from "./limits.ts";
import type { PodProcesses } from "./pod-processes.ts";

/** Where sandboxes are by what the CNI plugin told; paths are as this process sees them. */
export interface KnownSandboxes {
  netnsPath(podUid: string): string | undefined;
  watch(onChange: (podUid: string) => void): { close(): void };
}

export interface ProcessNetnsFinderDeps {
  readonly sys: Syscalls;
  /** Of the node itself: no pod that shares it is captured. */
  readonly nodeId: string;
  readonly processes: PodProcesses;
  readonly sandboxes?: KnownSandboxes;
  /** @default "/proc" */
  readonly procDir?: string;
}

/** What one candidate came to. */
type Candidate = NetnsSearch | { readonly kind: "node" };

export class ProcessNetnsFinder implements PodNetnsFinder {
  readonly #deps: ProcessNetnsFinderDeps;
  readonly #procDir: string;
  /** The process that each pod's namespace was found by the last time. */
  readonly #chosen = new Map<string, string>();

  constructor(deps: ProcessNetnsFinderDeps) {
    this.#deps = deps;
    this.#procDir = deps.procDir ?? "/proc";
  }

  watch(onChange: (podUid: string) => void): { close(): void } | undefined {
    return this.#deps.sandboxes?.watch(onChange);
  }

  async find(pod: CapturedPod, trusted?: string): Promise<NetnsSearch> {
    const told = this.#told(pod, trusted) ?? (await this.#chosenBefore(pod, trusted));
    if (told?.kind === "found") return told;
    const { processes } = this.#deps;
    const known = await this.#among(pod, await processes.of(pod.uid), trusted);
    if (known?.kind === "found") return known;
    await processes.refresh();
    const found = await this.#among(pod, await processes.of(pod.uid), trusted);
    if (found !== undefined) return found;
    if (told !== undefined) return told;
    this.#chosen.delete(pod.uid);
    return { kind: "missing", message: "no process of this node is in the pod's cgroup" };
  }

  #told(pod: CapturedPod, trusted: string | undefined): NetnsSearch | undefined {
    const file = this.#deps.sandboxes?.netnsPath(pod.uid);
    if (file === undefined) return undefined;
    const seen = this.#open(pod, file, "the sandbox that the CNI plugin told of", trusted);
    return seen.kind === "found" || seen.kind === "foreign" ? seen : undefined;
  }

  async #chosenBefore(
    pod: CapturedPod,
    trusted: string | undefined,
  ): Promise<NetnsSearch | undefined> {
    const processId = this.#chosen.get(pod.uid);
    if (processId === undefined) return undefined;
    if (!(await this.#deps.processes.isOf(pod.uid, processId))) return undefined;
    const seen = this.#openProcess(pod, processId, trusted);
    return seen.kind === "found" ? seen : undefined;
  }

  /** Undefined where none of them has a namespace of its own. */
  async #among(
    pod: CapturedPod,
    processIds: readonly string[],
    trusted: string | undefined,
  ): Promise<NetnsSearch | undefined> {
    let foreign: NetnsSearch | undefined;
    for (const processId of processIds.slice(0, CANDIDATES_PER_POD)) {
      const seen = this.#openProcess(pod, processId, trusted);
      if (seen.kind === "found") {
        this.#chosen.set(pod.uid, processId);
        return seen;
      }
      if (seen.kind === "foreign") foreign ??= seen;
    }
    return foreign;
  }

  #openProcess(pod: CapturedPod, processId: string, trusted: string | undefined): Candidate {
    const file = `${this.#procDir}/${processId}/ns/net`;
    return this.#open(pod, file, `process ${processId}`, trusted);
  }

  #open(pod: CapturedPod, file: string, what: string, trusted: string | undefined): Candidate {
    const { sys, nodeId } = this.#deps;
    let netns: Netns;
    try {
      netns = sys.openNetns(file);
    } catch (error) {
      if (isGone(error)) return { kind: "missing", message: `${what} is gone` };
      throw unreachable(file, error);
    }
    if (netns.id === trusted) return { kind: "found", netns };
    let problem: string | undefined;
    try {
      problem = findMismatch(sys, netns, pod, nodeId);
    } catch (error) {
      // What stood there was no namespace (any more).
      problem = describeError(error);
    }
    if (problem === undefined) return { kind: "found", netns };
    sys.closeNetns(netns);
    if (netns.id === nodeId) return { kind: "node" };
    return { kind: "foreign", netnsId: netns.id, message: `${what}: ${problem}` };
  }
}

function unreachable(file: string, cause: unknown): MeshError {
  return new MeshError(
    "NETNS_UNREACHABLE",
    `the pod's network namespace ${file} cannot be opened`,
    {
      cause,
      hint: "ztunnel needs hostPID and the capabilities SYS_PTRACE and SYS_ADMIN",
    },
  );
}
