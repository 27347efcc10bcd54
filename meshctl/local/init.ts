/**
 * The cluster's init: prepares its private files, brings everything up, and ends when its owner
 * does.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { watchFolder } from "#common/kubernetes/watch-folder.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { limitLogs } from "#meshctl/local/container/log-limiter.ts";
import { ControlServer } from "#meshctl/local/control/server.ts";
import { MeshPrograms } from "#meshctl/local/mesh/mesh-programs.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { Cluster } from "./cluster.ts";
import type { ClusterSettings, InitialFiles } from "./cluster-settings.ts";
import { EventLog } from "./events.ts";
import { CLUSTER_TMPFS_SIZE } from "./limits.ts";
import { type ClusterPaths, clusterPaths, RUN_MOUNT } from "./paths.ts";
import { summarizePods, untilStarted } from "./start-summary.ts";
import { TokenIssuer } from "./token-issuer.ts";

/** Runs the cluster; resolves once it is up, and goes on until the process ends. */
export async function runInit(settings: ClusterSettings): Promise<void> {
  const events = new EventLog();
  // Whoever reads the events may be gone: a detached cluster goes on without.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  // One thing that goes wrong must not take every pod away.
  process.on("unhandledRejection", (error) => {
    events.emit({ kind: "problem", text: describeError(error) });
  });
  events.listen((event) => void process.stdout.write(`${JSON.stringify(event)}\n`));
  const files = exitWithOwner(settings);
  try {
    const paths = prepareFiles(settings);
    for (const [name, content] of Object.entries(await files)) {
      writeFileSync(join(paths.folder, name), content);
    }
    await bringUp(settings, paths, events);
  } catch (error) {
    const hint = error instanceof MeshError && error.hint !== undefined ? { hint: error.hint } : {};
    events.emit({ kind: "fatal", text: describeError(error), ...hint });
    process.stdout.write("", () => process.exit(1));
  }
}

/**
 * The owner holds the other end of standard input: when it is gone, however, the input ends.
 * Resolves with the files that the owner sends first, if it does.
 */
function exitWithOwner(settings: ClusterSettings): Promise<InitialFiles> {
  process.on("SIGTERM", () => process.exit(0));
  process.on("SIGINT", () => process.exit(0));
  if (settings.detached) return Promise.resolve({});
  process.stdin.on("end", () => process.exit(0));
  process.stdin.on("error", () => process.exit(0));
  const lines = createInterface({ input: process.stdin });
  if (settings.filesOnStdin !== true) return Promise.resolve({});
  return new Promise((resolve) => void lines.once("line", (line) => resolve(JSON.parse(line))));
}

function prepareFiles(settings: ClusterSettings): ClusterPaths {
  const options = `size=${CLUSTER_TMPFS_SIZE},mode=755`;
  const argv = ["-t", "tmpfs", "-o", options, `ambient-mesh-${settings.name}`, RUN_MOUNT];
  const mount = spawnSync("mount", argv, { encoding: "utf8" });
  if (mount.status !== 0) {
    throw new MeshError("MOUNT_FAILED", `cannot mount a tmpfs: ${mount.stderr.trim()}`, {
      hint: "run as root, in a container with CAP_SYS_ADMIN if in one",
    });
  }
  const paths = clusterPaths();
  for (const dir of [paths.objects, paths.overlay, paths.owned, paths.folder, paths.ca]) {
    mkdirSync(dir, { recursive: true });
  }
  return paths;
}

async function bringUp(
  settings: ClusterSettings,
  paths: ClusterPaths,
  events: EventLog,
): Promise<void> {
  const folder = settings.folder ?? paths.folder;
  events.emit({ kind: "progress", text: `making cluster ${settings.name} from ${folder}` });
  const tokens = await TokenIssuer.create(paths);
  const reconcile = () => cluster.requestReconcile();
  const sys = createLinuxSyscalls();
  const mesh = settings.mesh
    ? new MeshPrograms({ paths, settings, sys, tokens, onChange: reconcile, events })
    : undefined;
  const cluster = new Cluster({
    paths,
    events,
    mesh: settings.mesh,
    failClosed: settings.mesh && settings.failClosed !== false,
    tokens,
    extraPods: () => mesh?.pods() ?? [],
    onNodes: (nodes) => mesh?.syncNodes(nodes),
  });
  await cluster.start();
  mesh?.start();
  await watchFolder(paths.owned, (result) => cluster.setOwned(result));
  const watcher = await watchFolder(folder, (result) => cluster.setFolder(result));
  limitLogs(paths);
  const shared = { settings, paths, folder, events, cluster, mesh, watcher, tokens };
  const control = new ControlServer(shared);
  await control.listen();
  const text = `${watcher.result.objects.length} objects read; starting pods`;
  events.emit({ kind: "progress", text });
  await untilStarted(cluster, mesh, (text) => events.emit({ kind: "progress", text }));
  control.ready = true;
  events.emit({ kind: "ready", text: summarizePods(cluster, mesh) });
}
