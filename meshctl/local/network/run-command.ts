/** Runs one program to its end. */
import { spawn } from "node:child_process";
import { MeshError } from "#common/runtime/errors.ts";

/**
 * Resolves with standard output when the program exits 0. Throws a MeshError otherwise:
 * COMMAND_MISSING if it cannot be started, COMMAND_FAILED with what it wrote to standard error.
 */
export function runCommand(argv: readonly string[], stdin = ""): Promise<string> {
  const [file = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // A program that ends before it has read everything (EPIPE) says why by its exit status.
    child.stdin.on("error", () => undefined).end(stdin);
    child.on("error", (cause) => {
      const hint = `install the Debian package that has ${file} (iproute2, nftables or util-linux)`;
      reject(new MeshError("COMMAND_MISSING", `cannot run ${file}`, { cause, hint }));
    });
    child.on("close", (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(commandFailed(argv, code, signal, stderr));
    });
  });
}

function commandFailed(
  argv: readonly string[],
  code: number | null,
  signal: string | null,
  stderr: string,
): MeshError {
  const how = code === null ? `was ended by ${signal}` : `exited with status ${code}`;
  const why = stderr.trim() === "" ? "" : `: ${stderr.trim()}`;
  return new MeshError("COMMAND_FAILED", `\`${argv.join(" ")}\` ${how}${why}`);
}

/** The command line that runs `argv` in the network namespace of a process. */
export function inNetnsOf(pid: number, argv: readonly string[]): readonly string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, "--", ...argv];
}
