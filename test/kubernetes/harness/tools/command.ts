/** Runs one preparing command to its end; a failure carries what the command said. */
import { spawn } from "node:child_process";
import { MeshError } from "#common/runtime/errors.ts";

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** What to try when it fails. */
  readonly hint?: string;
}

/** Lines of output that a failure shows. */
const SHOWN_LINES = 30;

/** Its standard output. Throws MeshError KUBERNETES_TOOLS. */
export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [file = "", ...args] = argv;
  const env = { ...process.env, ...options.env };
  const cwd = options.cwd === undefined ? {} : { cwd: options.cwd };
  const child = spawn(file, args, { env, ...cwd, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, all] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    all += text;
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(
        new MeshError("KUBERNETES_TOOLS", `${argv.join(" ")}: ${why}`, {
          cause,
          ...(options.hint === undefined ? {} : { hint: options.hint }),
        }),
      );
    child.on("error", (error) => fail("could not be started", error));
    child.on("close", (code) => {
      if (code === 0) return resolve(stdout);
      fail(`ended with ${code}\n${all.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n")}`);
    });
  });
}
