/**
 * Which processes of this node belong to which pod, by their cgroups: kubelet puts every process of
 * a pod under a cgroup that has the pod's UID in its name. One walk through /proc serves all pods
 * that are looked for, and a process is read once: what a walk costs follows what has started
 * since.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { FULL_WALK_INTERVAL_MS, PROCESSES_PER_TURN, WALK_INTERVAL_MS } from "./limits.ts";

/**
 * The first component of a cgroup's path that names a pod, as kubelet's drivers write it. cgroupfs:
 * `/kubepods/burstable/pod<uid>/<container>`; systemd, with `_` for `-`:
 * `/kubepods.slice/kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope`
 * (`crio-<id>.scope` from CRI-O). Source: kubernetes pkg/kubelet/cm/pod_container_manager_linux.go.
 * What a container makes below its own cgroup comes after that component and counts for nothing.
 */
const POD_COMPONENT = /^(?:[a-z-]*-)?pod([0-9a-fA-F][0-9a-fA-F_-]{30,62})(?:\.slice)?$/;
const PROCESS_ID = /^[1-9][0-9]*$/;

/**
 * The UID of the pod that a process with this `/proc/PID/cgroup` belongs to. Version 1 has a line
 * per hierarchy, version 2 one; paths are relative to the reader's own cgroup namespace, so they
 * may begin with `/../..`.
 */
export function podUidOfCgroup(text: string): string | undefined {
  for (const line of text.split("\n")) {
    const components = line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1).split("/");
    for (const component of components) {
      const [, uid] = POD_COMPONENT.exec(component) ?? [];
      if (uid !== undefined) return uid.replaceAll("_", "-").toLowerCase();
    }
  }
  return undefined;
}

/**
 * When a process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). The name
 * in field 2 may hold anything, so what counts comes after its last parenthesis.
 */
export function startTimeOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}

export interface PodProcessesOptions {
  /** @default "/proc" */
  readonly procDir?: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export class PodProcesses {
  readonly #procDir: string;
  readonly #now: () => number;
  /** Every process seen, with the pod it belongs to; "" for none. */
  readonly #podOf = new Map<string, string>();
  readonly #ofPod = new Map<string, Set<string>>();
  #walk: Promise<void> | undefined;
  #walkedAt = Number.NEGATIVE_INFINITY;
  #walkedFullyAt = Number.NEGATIVE_INFINITY;

  constructor({ procDir = "/proc", now = () => performance.now() }: PodProcessesOptions = {}) {
    this.#procDir = procDir;
    this.#now = now;
  }

  /** The pod's processes that are known and still are its own, the oldest first. */
  async of(podUid: string): Promise<readonly string[]> {
    const found: { readonly processId: string; readonly startTime: number }[] = [];
    for (const processId of this.#ofPod.get(podUid) ?? []) {
      const startTime = await this.#startTime(podUid, processId);
      if (startTime === undefined) this.#forget(processId);
      else found.push({ processId, startTime });
    }
    found.sort((a, b) => a.startTime - b.startTime || Number(a.processId) - Number(b.processId));
    return found.map(({ processId }) => processId);
  }

  /** Whether the process is (still) one of the pod's. */
  async isOf(podUid: string, processId: string): Promise<boolean> {
    return (await this.#startTime(podUid, processId)) !== undefined;
  }

  /**
   * Looks for processes that have started since the last walk. Walks that are asked for at once are
   * one, and none begins sooner than WALK_INTERVAL_MS after the last.
   */
  async refresh(): Promise<void> {
    if (this.#walk === undefined && this.#now() - this.#walkedAt < WALK_INTERVAL_MS) return;
    this.#walk ??= this.#look().finally(() => {
      this.#walk = undefined;
      this.#walkedAt = this.#now();
    });
    await this.#walk;
  }

  async #look(): Promise<void> {
    const entries = await readdir(this.#procDir);
    const running = new Set(entries.filter((entry) => PROCESS_ID.test(entry)));
    for (const processId of this.#podOf.keys()) {
      if (!running.has(processId)) this.#forget(processId);
    }
    const fresh = [...running].filter((processId) => this.#isDue(processId));
    for (let i = 0; i < fresh.length; i += PROCESSES_PER_TURN) {
      await Promise.all(fresh.slice(i, i + PROCESSES_PER_TURN).map((id) => this.#read(id)));
    }
    if (this.#isFullWalkDue()) this.#walkedFullyAt = this.#now();
  }

  /** A process id that was nobody's can have been given to a pod's process since. */
  #isDue(processId: string): boolean {
    const known = this.#podOf.get(processId);
    return known === undefined || (known === "" && this.#isFullWalkDue());
  }

  #isFullWalkDue(): boolean {
    return this.#now() - this.#walkedFullyAt >= FULL_WALK_INTERVAL_MS;
  }

  async #read(processId: string): Promise<void> {
    const text = await this.#file(processId, "cgroup");
    if (text === undefined) return this.#forget(processId);
    const podUid = podUidOfCgroup(text) ?? "";
    this.#forget(processId);
    this.#podOf.set(processId, podUid);
    if (podUid === "") return;
    const processes = this.#ofPod.get(podUid) ?? new Set();
    this.#ofPod.set(podUid, processes.add(processId));
  }

  #forget(processId: string): void {
    const podUid = this.#podOf.get(processId);
    this.#podOf.delete(processId);
    if (podUid === undefined) return;
    const processes = this.#ofPod.get(podUid);
    processes?.delete(processId);
    if (processes?.size === 0) this.#ofPod.delete(podUid);
  }

  /** Undefined where the process is gone, or its id is another's by now. */
  async #startTime(podUid: string, processId: string): Promise<number | undefined> {
    const cgroup = await this.#file(processId, "cgroup");
    if (cgroup === undefined || podUidOfCgroup(cgroup) !== podUid) return undefined;
    const stat = await this.#file(processId, "stat");
    return stat === undefined ? undefined : startTimeOf(stat);
  }

  /** Undefined where the process has just gone. */
  async #file(processId: string, name: "cgroup" | "stat"): Promise<string | undefined> {
    try {
      return await readFile(path.join(this.#procDir, processId, name), "utf8");
    } catch {
      return undefined;
    }
  }
}
