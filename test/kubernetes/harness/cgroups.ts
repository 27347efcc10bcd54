/**
 * The control groups of a cluster: one per set of namespaces, in every hierarchy of version 1 or in
 * the one of version 2. They bound nothing; kubelets need them, and whatever runs in one of them is
 * part of the cluster and ends with it.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { waitFor } from "./wait-for.ts";

export interface Cgroups {
  readonly version: 1 | 2;
  /** A folder in every hierarchy; the first one is as good as any to ask for members. */
  readonly folders: readonly string[];
  /** The files to which a process writes 0 to become a member. */
  readonly memberFiles: readonly string[];
}

/** What a kubelet and containerd look for. */
const V1_CONTROLLERS = [
  "cpu",
  "cpuacct",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
] as const;
/** Every level passes them on to the next. */
export const V2_CONTROLLERS = "+cpu +cpuset +io +memory +pids";
/** Version 2 allows members only in the leaves of a tree. */
const V2_LEAF = "init";

const MOUNT = "/sys/fs/cgroup";
const KILL_DEADLINE_MS = 30_000;

/** `name` may have slashes: "cluster/node1". */
export function cgroupsOf(name: string): Cgroups {
  if (existsSync(join(MOUNT, "cgroup.controllers"))) {
    const folder = join(MOUNT, name);
    return { version: 2, folders: [folder], memberFiles: [join(folder, V2_LEAF, "cgroup.procs")] };
  }
  const own = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const folders = [...V1_CONTROLLERS, "systemd"]
    .filter((hierarchy) => existsSync(join(MOUNT, hierarchy)))
    .map((hierarchy) => join(MOUNT, hierarchy, ownPath(own, hierarchy), name));
  return { version: 1, folders, memberFiles: folders.map((at) => join(at, "cgroup.procs")) };
}

/** This process's place in a hierarchy of version 1: the cluster's is below it. */
function ownPath(lines: readonly string[], hierarchy: string): string {
  const line = lines.find((each) => {
    const controllers = each.split(":")[1]?.split(",") ?? [];
    return controllers.includes(hierarchy) || controllers.includes(`name=${hierarchy}`);
  });
  return line?.split(":").slice(2).join(":") ?? "/";
}

export function makeCgroups({ version, folders }: Cgroups): void {
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    if (version === 2) {
      mkdirSync(join(folder, V2_LEAF), { recursive: true });
    } else if (folder.startsWith(join(MOUNT, "cpuset/"))) {
      copyCpuset(folder);
    }
  }
  if (version === 2) writeFileSync(join(MOUNT, "cgroup.subtree_control"), V2_CONTROLLERS);
}

/** A new cpuset is empty, and lets nobody in until it has processors and memory. */
function copyCpuset(folder: string): void {
  const parts = folder.slice(MOUNT.length + 1).split("/");
  for (let depth = 2; depth <= parts.length; depth += 1) {
    const at = join(MOUNT, ...parts.slice(0, depth));
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (readFileSync(join(at, file), "utf8").trim() !== "") continue;
      writeFileSync(join(at, file), readFileSync(join(at, "..", file)));
    }
  }
}

/** Ends every member, also those of groups below, and removes the groups. */
export async function removeCgroups({ folders }: Cgroups): Promise<void> {
  const left = () => {
    for (const folder of folders) killMembers(folder);
    for (const folder of folders) removeEmpty(folder);
    return folders.every((folder) => !existsSync(folder));
  };
  await waitFor("the end of everything in a control group", left, {
    timeoutMs: KILL_DEADLINE_MS,
    everyMs: 20,
  });
}

function killMembers(folder: string): void {
  for (const pid of membersBelow(folder)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended between the two lines.
    }
  }
}

/** Pids as this process sees them. */
export function membersBelow(folder: string): number[] {
  return subfolders(folder).flatMap((at) => {
    try {
      const text = readFileSync(join(at, "cgroup.procs"), "utf8");
      return text.split("\n").filter(Boolean).map(Number);
    } catch {
      // Removed since it was listed, and so without members.
      return [];
    }
  });
}

function removeEmpty(folder: string): void {
  for (const at of subfolders(folder)) {
    try {
      rmdirSync(at);
    } catch {
      // It has members yet: the next round tries again.
    }
  }
}

/** The folder and all below it, the deepest first. */
function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    const below = readdirSync(folder, { withFileTypes: true }).filter((at) => at.isDirectory());
    return [...below.flatMap(({ name }) => subfolders(join(folder, name))), folder];
  } catch {
    // Removed while it was read.
    return [];
  }
}
