/**
 * A set of namespaces that stands for one machine: its own network, mounts, processes, names and
 * control groups. Its first process does nothing but set it up and collect what others leave.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type RunOptions, type RunResult, run } from "#test/support/run.ts";
import { type Cgroups, cgroupsOf, makeCgroups, removeCgroups, V2_CONTROLLERS } from "./cgroups.ts";
import { waitFor } from "./wait-for.ts";

export interface NamespacesOptions {
  /** "cp" or a node's name. */
  readonly name: string;
  readonly clusterName: string;
  /** The cluster's; logs go to its log/. */
  readonly runFolder: string;
  /** Shell commands of the first process, in the new namespaces, after /proc is its own. */
  readonly setup: string;
}

/** Joins the groups it is given before "--", then becomes the command after it. */
const JOIN_GROUPS = 'while [ "$1" != -- ]; do echo 0 >"$1"; shift; done; shift; exec "$@"';

/** One that is started anew has nothing of before but what its setup finds in files. */
export class Namespaces {
  readonly name: string;
  readonly logFolder: string;
  /** The first process, as this process sees it. */
  readonly pid: number;
  readonly cgroups: Cgroups;

  private constructor(options: NamespacesOptions, cgroups: Cgroups, pid: number) {
    this.name = options.name;
    this.logFolder = join(options.runFolder, "log");
    this.cgroups = cgroups;
    this.pid = pid;
  }

  /** `whileSettingUp` does what the setup waits for. */
  static async start(
    options: NamespacesOptions,
    whileSettingUp?: (started: Namespaces) => Promise<void>,
  ): Promise<Namespaces> {
    const { name, clusterName, runFolder, setup } = options;
    const cgroups = cgroupsOf(`${clusterName}/${name}`);
    makeCgroups(cgroups);
    const readyFile = join(runFolder, `${name}.ready`);
    rmSync(readyFile, { force: true });
    const script = join(runFolder, `${name}-setup.sh`);
    writeFileSync(script, firstProcess(setup, readyFile, cgroups));
    const flags = ["--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork"];
    const argv = ["unshare", ...flags, "--kill-child", "--mount-proc", "sh", "-e", script];
    const child = spawnIn(cgroups, argv, join(runFolder, "log", `${name}-setup.log`));
    const hasEnded = () => (child.exitCode !== null || child.signalCode !== null) && "ended";
    const firstOne = () => childOf(child.pid ?? 0) ?? hasEnded();
    const pid = await waitFor(`the first process of ${name}`, firstOne, { everyMs: 5 });
    const failure = new Error(`${name} did not start: see ${name}-setup.log`);
    if (pid === "ended") throw failure;
    const started = new Namespaces(options, cgroups, pid);
    await whileSettingUp?.(started);
    const ready = () => existsSync(readyFile) || hasEnded();
    if ((await waitFor(`the setup of ${name}`, ready, { everyMs: 5 })) === "ended") throw failure;
    return started;
  }

  /** The command line that runs a command in here; a member of its groups with `spawn`. */
  enter(argv: readonly string[]): string[] {
    const kinds = ["--net", "--mount", "--pid", "--uts", "--ipc", "--cgroup"];
    return ["nsenter", `--target=${this.pid}`, ...kinds, "--", ...argv];
  }

  run(argv: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run(this.enter(argv), options);
  }

  /** Like `run`; throws unless it ends well. Returns its standard output. */
  async check(argv: readonly string[], options?: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code === 0) return stdout;
    throw new Error(`${argv.join(" ")} in ${this.name} ended with ${code}: ${stderr || stdout}`);
  }

  /** Starts a command in here that outlives the call; its output goes to the log of that name. */
  spawn(argv: readonly string[], logName: string): ChildProcess {
    return spawnIn(this.cgroups, this.enter(argv), join(this.logFolder, `${logName}.log`));
  }

  /** Ends every process in here at once, as a power cut would, and with them the namespaces. */
  end(): Promise<void> {
    return removeCgroups(this.cgroups);
  }
}

function spawnIn({ memberFiles }: Cgroups, argv: readonly string[], logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  const args = ["-ec", JOIN_GROUPS, "sh", ...memberFiles, "--", ...argv];
  const child = spawn("sh", args, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  child.unref();
  return child;
}

function firstProcess(setup: string, ready: string, { version }: Cgroups): string {
  return `set -x
${version === 1 ? CGROUPS_V1 : CGROUPS_V2}
${setup}
touch ${ready}
set +ex
while :; do sleep 3600 & wait $!; done
`;
}

/** What is above the cluster's group is not to be seen in here. */
const CGROUPS_V1 = `umount -R -l /sys
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for c in $(sed -n 's/^[0-9]*:\\([a-z]*\\):.*/\\1/p' /proc/self/cgroup); do
  mkdir /sys/fs/cgroup/$c && mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
done
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd`;

const CGROUPS_V2 = `umount -R -l /sys
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '${V2_CONTROLLERS}' >/sys/fs/cgroup/cgroup.subtree_control`;

/** The one child of a process, once it is in namespaces of its own. */
export function childOf(pid: number): number | undefined {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  const child = Number(text.trim().split(" ")[0]);
  if (!child) return undefined;
  const own = readlinkSync("/proc/self/ns/pid");
  return readlinkSync(`/proc/${child}/ns/pid`) === own ? undefined : child;
}
