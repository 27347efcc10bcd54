/**
 * Runs `nft` or `ip` inside a network namespace. A child process starts in the namespace of the
 * thread that forks it, so the thread enters the namespace for the moment of the fork.
 */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { NETNS_COMMAND_OUTPUT_BYTES, NETNS_COMMAND_TIMEOUT_MS } from "./limits.ts";

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface NetnsCommand {
  readonly command: "nft" | "ip";
  readonly args: readonly string[];
  readonly input?: string;
}

/**
 * Runs the command and returns its output and exit code, whatever that is. Throws
 * COMMAND_NOT_FOUND, COMMAND_TIMEOUT (default 10 s), COMMAND_OUTPUT_TOO_LARGE, or what entering the
 * namespace threw.
 */
export async function runInNetns(
  sys: Syscalls,
  netns: Netns,
  { command, args, input = "" }: NetnsCommand,
  timeoutMs: number = NETNS_COMMAND_TIMEOUT_MS,
): Promise<CommandResult> {
  const child = sys.inNetns(netns, () => spawn(command, args, { stdio: "pipe" }));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // A command that ends without reading its input has said why in its exit code.
  child.stdin.on("error", () => child.stdin.destroy());
  child.stdin.end(input);
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", (cause) => reject(notStarted(command, cause)));
    child.on("close", (code) => resolve(code ?? -1));
  }).finally(() => clearTimeout(timer));
  if (timedOut) {
    throw new MeshError("COMMAND_TIMEOUT", `${command} did not end within ${timeoutMs} ms`, {
      hint: "the machine may be overloaded; the attempt is repeated",
    });
  }
  return { exitCode, stdout: stdout(command), stderr: stderr(command) };
}

/**
 * As `runInNetns`, for commands that have to succeed: throws COMMAND_FAILED with their own words.
 */
export async function runInNetnsOrThrow(
  sys: Syscalls,
  netns: Netns,
  command: NetnsCommand,
): Promise<string> {
  const { exitCode, stdout, stderr } = await runInNetns(sys, netns, command);
  if (exitCode === 0) return stdout;
  const line = [command.command, ...command.args].join(" ");
  throw new MeshError(
    "COMMAND_FAILED",
    `${line} in network namespace ${netns.id} ended with ${exitCode}: ${stderr.trim()}`,
  );
}

function notStarted(command: string, cause: Error): MeshError {
  return new MeshError("COMMAND_NOT_FOUND", `cannot start ${command}`, {
    cause,
    hint: `install ${command === "nft" ? "nftables" : "iproute2"}`,
  });
}

/** Reads a stream to its end; the returned function then gives its text. */
function collect(stream: Readable): (command: string) => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= NETNS_COMMAND_OUTPUT_BYTES) chunks.push(chunk);
  });
  return (command) => {
    if (bytes <= NETNS_COMMAND_OUTPUT_BYTES) return Buffer.concat(chunks).toString();
    const message = `${command} printed more than ${NETNS_COMMAND_OUTPUT_BYTES} bytes`;
    throw new MeshError("COMMAND_OUTPUT_TOO_LARGE", message, {
      hint: "see what fills the namespace's ruleset: nsenter -t PID -n nft list ruleset",
    });
  };
}
