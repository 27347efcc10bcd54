/**
 * Starts a cluster and holds it: when the process that called this ends, the kernel ends the
 * cluster.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MeshError } from "#common/runtime/errors.ts";
import { ControlClient } from "#meshctl/local/control/client.ts";
import { type ClusterSettings, type InitialFiles, SETTINGS_OPTION } from "./cluster-settings.ts";
import type { ClusterEvent } from "./events.ts";
import { findClusters } from "./find-clusters.ts";
import { CLUSTER_START_TIMEOUT_MS, LAST_WORDS_MAX_CHARS, ORDERLY_STOP_MS } from "./limits.ts";

const INIT = fileURLToPath(new URL("cluster-main.ts", import.meta.url));

export interface ClusterProcess {
  readonly client: ControlClient;
  /** Resolves when the cluster has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** What it said last, if it ended by a failure of its own. */
  failure(): string | undefined;
  /** Ends the cluster and waits until every process of it is gone. */
  stop(): Promise<void>;
  /** Lets the process that called this end without the cluster (only of a detached one). */
  release(): void;
}

/**
 * Starts a cluster and resolves when it is ready. Throws a MeshError if there is one of that name,
 * if this machine cannot run one, or if it fails to start; nothing is left behind then.
 */
export async function startClusterProcess(
  settings: ClusterSettings,
  onEvent: (event: ClusterEvent) => void,
  files?: InitialFiles,
): Promise<ClusterProcess> {
  await checkPreconditions(settings);
  const child = spawnInit({ ...settings, ...(files === undefined ? {} : { filesOnStdin: true }) });
  if (files !== undefined) child.stdin?.write(`${JSON.stringify(files)}\n`);
  // An init that ended early says why by itself.
  child.stdin?.on("error", () => undefined);
  const said = lastWords(child);
  const ended = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
  try {
    await untilReady(child, said, onEvent);
    const initPid = await findInit(settings.name);
    return {
      client: new ControlClient(initPid),
      ended,
      failure: () => (said().includes(FAILURE_MARK) ? said() : undefined),
      stop: () => stopInit(child, ended),
      release: () => {
        child.unref();
        child.stdout?.destroy();
        child.stderr?.destroy();
      },
    };
  } catch (error) {
    await stopInit(child, ended);
    throw error;
  }
}

async function checkPreconditions(settings: ClusterSettings): Promise<void> {
  if (process.platform !== "linux") {
    throw new MeshError("NOT_LINUX", "a cluster is made of Linux namespaces", {
      hint: "use a Linux machine or a Linux virtual machine",
    });
  }
  if (process.getuid?.() !== 0) {
    throw new MeshError("NOT_ROOT", "making network namespaces takes root", {
      hint: `sudo ${process.argv.join(" ")}`,
    });
  }
  if (settings.folder !== undefined && !existsSync(settings.folder)) {
    throw new MeshError("NO_FOLDER", `there is no folder ${settings.folder}`, {
      hint: "meshctl up manifests/samples/shop",
    });
  }
  const clusters = await findClusters();
  if (!clusters.some((cluster) => cluster.settings.name === settings.name)) return;
  throw new MeshError("CLUSTER_EXISTS", `a cluster named ${settings.name} is running already`, {
    hint: `meshctl down --name ${settings.name}, or meshctl up with another --name`,
  });
}

/** What the shell says when the program ends by itself and not well. */
const FAILURE_MARK = "the cluster's program ended with status";

/**
 * The first process of the cluster is a shell that does nothing but bury orphans, which Node does
 * not; an unburied one would keep the pod that it belonged to from ending. It ends when the program
 * does.
 */
const INIT_SCRIPT = `exec 3<&0
"$@" <&3 3<&- &
wait $!
status=$?
[ $status = 0 ] || echo "${FAILURE_MARK} $status" >&2
exit $status`;

/**
 * setpriv asks the kernel to end unshare when this process ends, unshare's --kill-child passes that
 * on to the init, and with the init of a process namespace every process in it ends.
 */
function spawnInit(settings: ClusterSettings): ChildProcess {
  const bound = settings.detached ? [] : ["setpriv", "--pdeathsig", "KILL"];
  const kill = settings.detached ? [] : ["--kill-child"];
  const namespaces = ["--pid", "--mount", "--net", "--ipc", "--uts", "--fork", "--mount-proc"];
  const program = [process.execPath, INIT, SETTINGS_OPTION, JSON.stringify(settings)];
  const init = ["sh", "-c", INIT_SCRIPT, "sh", ...program];
  const [file = "", ...args] = [...bound, "unshare", ...namespaces, ...kill, ...init];
  // A session of its own: Ctrl-C is the owner's business, who then stops the cluster in order.
  return spawn(file, args, {
    stdio: [settings.detached ? "ignore" : "pipe", "pipe", "pipe"],
    detached: true,
  });
}

/** Collects the end of standard error. */
function lastWords(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-LAST_WORDS_MAX_CHARS);
  });
  return () => text.trim();
}

function untilReady(
  child: ChildProcess,
  said: () => string,
  onEvent: (event: ClusterEvent) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: MeshError) => {
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(new MeshError("START_TIMEOUT", `the cluster did not start in time: ${said()}`));
    }, CLUSTER_START_TIMEOUT_MS);
    child.on("error", (cause) => {
      const hint = "apt-get install util-linux iproute2 nftables";
      fail(new MeshError("COMMAND_MISSING", "cannot run unshare", { cause, hint }));
    });
    child.on("close", () => {
      fail(new MeshError("START_FAILED", `the cluster ended while it started: ${said()}`));
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event: ClusterEvent = JSON.parse(line);
      onEvent(event);
      if (event.kind === "fatal") {
        const hint = event.hint === undefined ? {} : { hint: event.hint };
        fail(new MeshError("START_FAILED", event.text, hint));
      }
      if (event.kind !== "ready") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

async function findInit(name: string): Promise<number> {
  const cluster = (await findClusters()).find((candidate) => candidate.settings.name === name);
  if (cluster !== undefined) return cluster.initPid;
  throw new MeshError("START_FAILED", `cluster ${name} ended as soon as it was ready`);
}

/**
 * The init ends when its input does, and is reaped by unshare; if it is stuck, the kernel ends it.
 */
async function stopInit(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const kill = () => void child.kill("SIGKILL");
  if (child.stdin === null) kill();
  else child.stdin.end();
  const timer = setTimeout(kill, ORDERLY_STOP_MS);
  await ended;
  clearTimeout(timer);
}
