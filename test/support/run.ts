/** Runs a program to its end and keeps everything it said. */
import { type ChildProcess, spawn } from "node:child_process";

export interface RunOptions {
  /** Text or bytes for its standard input; nothing (end of file at once) unless given. */
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** SIGKILL after this long; 15 s unless said otherwise. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** The exit status; 128 and the signal's number if a signal ended it, as in a shell. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const SIGKILL = 9;

export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file = "", ...args] = argv;
  const env = options.env === undefined ? {} : { env: options.env };
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], ...env });
  child.stdin.on("error", () => undefined).end(options.stdin ?? "");
  return collect(child, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
}

function collect(child: ChildProcess, timeoutMs: number): Promise<RunResult> {
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128 + SIGKILL, ...text });
    });
  });
}
