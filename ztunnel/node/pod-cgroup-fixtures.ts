/** Test support: real cgroups with the names that kubelets give to those of pods. */
import fs from "node:fs";
import path from "node:path";

/**
 * Where cgroups can be made, in the order of preference: version 2, and hierarchies of version 1.
 */
const HIERARCHIES = ["unified", "", "pids", "systemd", "freezer"];
const MOUNT = "/sys/fs/cgroup";

/** How a container's cgroup is called below the root, by pod UID and driver. */
export const CGROUP_NAMES = {
  cgroupfs: (uid: string) => `kubepods/burstable/pod${uid}/0123456789abcdef`,
  systemd: (uid: string) =>
    "kubepods.slice/kubepods-besteffort.slice/" +
    `kubepods-besteffort-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-0123.scope`,
  crio: (uid: string) =>
    `kubepods.slice/kubepods-pod${uid.replaceAll("-", "_")}.slice/crio-0123.scope`,
} as const;

/** One tree of cgroups of a test; `close` takes it away, its processes back to the root. */
export class PodCgroups {
  readonly #root: string;

  constructor() {
    const hierarchy = HIERARCHIES.find((name) =>
      fs.existsSync(path.join(MOUNT, name, "cgroup.procs")),
    );
    if (hierarchy === undefined) throw new Error(`no cgroup hierarchy is mounted in ${MOUNT}`);
    this.#root = path.join(MOUNT, hierarchy, `ambient-mesh-test-${process.pid}`);
    fs.mkdirSync(this.#root);
  }

  /** Makes the cgroup if it is not there, and moves the process to it. */
  put(processId: number, name: string): void {
    const directory = path.join(this.#root, name);
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, "cgroup.procs"), String(processId));
  }

  close(): void {
    this.#remove(this.#root);
  }

  #remove(directory: string): void {
    for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) this.#remove(path.join(directory, entry.name));
    }
    const processes = fs.readFileSync(path.join(directory, "cgroup.procs"), "utf8");
    for (const processId of processes.split("\n").filter((line) => line !== "")) {
      fs.writeFileSync(path.join(path.dirname(this.#root), "cgroup.procs"), processId);
    }
    fs.rmdirSync(directory);
  }
}
