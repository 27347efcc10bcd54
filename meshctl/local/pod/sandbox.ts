/** The namespaces of one pod: writes what the sandbox script needs, starts it, ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { MeshError } from "#common/runtime/errors.ts";
import { SANDBOX_START_TIMEOUT_MS } from "#meshctl/local/limits.ts";
import {
  type PodWiring,
  plugPodLines,
  podLines,
  unplugPodLines,
} from "#meshctl/local/network/network-plan.ts";
import { inNetnsOf, runCommand } from "#meshctl/local/network/run-command.ts";

const SCRIPT = fileURLToPath(new URL("sandbox.sh", import.meta.url));

export interface SandboxSpec {
  readonly dir: string;
  readonly hostname: string;
  /** Where the pod's wire goes; absent for a pod in the node's own network. */
  readonly wiring?: PodWiring;
  /** The process that holds the node's namespaces. */
  readonly nodePid: number;
  /** Files of the pod's root, by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** Directories of the machine side that appear at a path of the pod. */
  readonly binds: readonly { readonly source: string; readonly target: string }[];
  /** Mounts of the machine below / that the pod sees too (its own disk for /home, say). */
  readonly machineMounts: readonly string[];
}

export interface Sandbox {
  /** The first process of the pod, as seen by the init. */
  readonly pid: number;
  /** Ends every process of the pod and frees its files. */
  destroy(): Promise<void>;
}

/** Resolves when the pod's network and files are in place. */
export async function startSandbox(spec: SandboxSpec): Promise<Sandbox> {
  await writeSandboxFiles(spec);
  const netns = spec.wiring === undefined ? [] : ["--net"];
  const enter =
    spec.wiring === undefined ? ["nsenter", `--net=/proc/${spec.nodePid}/ns/net`, "--"] : [];
  const unshare = ["unshare", ...netns, "--pid", "--mount", "--uts", "--ipc", "--fork"];
  const nodeNetns = spec.wiring?.nodeNetns ?? "-";
  const script = ["sh", SCRIPT, spec.dir, spec.hostname, nodeNetns];
  const [file = "", ...args] = [...enter, ...unshare, "--kill-child", ...script];
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  try {
    await sandboxReady(child);
    const pid = sandboxPid(child);
    return { pid, destroy: () => destroySandbox(child, spec, pid) };
  } catch (error) {
    await destroySandbox(child, spec);
    throw error;
  }
}

async function writeSandboxFiles(spec: SandboxSpec): Promise<void> {
  const { dir, wiring } = spec;
  for (const name of ["upper", "work", "root"]) await mkdir(join(dir, name), { recursive: true });
  for (const [path, content] of Object.entries(spec.files)) {
    await mkdir(dirname(join(dir, "upper", path)), { recursive: true });
    await writeFile(join(dir, "upper", path), content);
  }
  const mounts: string[] = [];
  for (const [i, target] of spec.machineMounts.entries()) {
    const source = join(dir, "mounts.d", String(i));
    await mkdir(join(source, "upper"), { recursive: true });
    await mkdir(join(source, "work"), { recursive: true });
    mounts.push(`overlay ${source} ${target}\n`);
  }
  for (const { source, target } of spec.binds) {
    await mkdir(join(dir, "upper", target), { recursive: true });
    mounts.push(`bind ${source} ${target}\n`);
  }
  await writeFile(join(dir, "mounts"), mounts.join(""));
  if (wiring === undefined) return;
  await writeFile(join(dir, "pod.ip"), podLines(wiring).join("\n"));
  await writeFile(join(dir, "node.ip"), plugPodLines(wiring.port).join("\n"));
}

function sandboxReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let stderr = "";
    const fail = (what: string, cause?: unknown) => {
      clearTimeout(timer);
      reject(new MeshError("SANDBOX_FAILED", `pod sandbox ${what}: ${stderr.trim()}`, { cause }));
    };
    const timer = setTimeout(() => fail("took too long"), SANDBOX_START_TIMEOUT_MS);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (cause) => fail("did not start", cause));
    child.on("close", () => fail("ended while it was being made"));
    child.stdout?.once("data", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** `unshare` stays as the parent of the pod's first process. */
function sandboxPid(child: ChildProcess): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
  const pid = Number.parseInt(children, 10);
  if (!Number.isNaN(pid)) return pid;
  throw new MeshError("SANDBOX_FAILED", "the pod sandbox ended as soon as it was made");
}

async function destroySandbox(child: ChildProcess, spec: SandboxSpec, pid?: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const gone = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
    // With its first process every process of the pod ends; unshare, its parent, buries it and ends
    // too.
    process.kill(pid ?? child.pid, "SIGKILL");
    await gone;
  }
  if (spec.wiring !== undefined) {
    const lines = unplugPodLines(spec.wiring.port).join("\n");
    // Usually the kernel was faster and there is no such wire any more: that is no failure.
    await runCommand(inNetnsOf(spec.nodePid, ["ip", "-force", "-batch", "-"]), lines).catch(
      () => undefined,
    );
  }
  await rm(spec.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
