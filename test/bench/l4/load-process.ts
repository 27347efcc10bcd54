/** Runs a load program in a client pod's network and follows what it says. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import {
  type LoadMessage,
  type LoadOptions,
  type LoadResult,
  loadArguments,
} from "./load/load-messages.ts";

const PROGRAM = fileURLToPath(new URL("load/client-main.ts", import.meta.url));
/** Beyond the time that the load itself takes. */
const PATIENCE_MS = 75_000;

export interface LoadEvents {
  /**
   * The measurement begins; for `hold`: all connections are there, and stay until this resolves.
   */
  readonly onMeasuring: () => Promise<void> | void;
  /** The measurement is over; the load's process still ends. */
  readonly onDone?: () => void;
}

/** Resolves when the load's process has ended. Throws LOAD_FAILED if a single request failed. */
export async function runLoad(
  cluster: TestCluster,
  clientPod: string,
  options: LoadOptions,
  events: LoadEvents,
): Promise<LoadResult> {
  const argv = [process.execPath, PROGRAM, ...loadArguments(options)];
  const [file = "", ...args] = await cluster.podNetnsArgv(clientPod, argv);
  // A group of its own: nsenter stays before the load, and only together can they be ended.
  const child = spawn(file, args, { stdio: "pipe", detached: true });
  const patience = options.warmUpMs + options.measureMs + PATIENCE_MS;
  const timer = setTimeout(() => killGroup(child), patience);
  try {
    return await follow(child, events);
  } finally {
    clearTimeout(timer);
    killGroup(child);
  }
}

async function follow(
  child: ChildProcessWithoutNullStreams,
  { onMeasuring, onDone }: LoadEvents,
): Promise<LoadResult> {
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => undefined);
  const closed = once(child, "close");
  let result: LoadResult | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const message: LoadMessage = JSON.parse(line);
    if (message.event === "done") {
      onDone?.();
      result = message.result;
    } else {
      await onMeasuring();
      // A `hold` ends with its input.
      child.stdin.end();
    }
  }
  await closed;
  if (result === undefined) throw new MeshError("LOAD_FAILED", stderr.trim() || "no result");
  if (result.errors === 0) return result;
  throw new MeshError("LOAD_FAILED", `${result.errors} requests or connections failed`);
}

function killGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, "SIGKILL");
}
