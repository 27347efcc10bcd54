/** ztunnel: one per node. Its configuration comes from the environment: see config.ts. */
import { flushCompileCache } from "node:module";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { Ztunnel } from "./app.ts";
import { loadConfig } from "./config.ts";

try {
  const ztunnel = await Ztunnel.start(loadConfig(process.env), {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
    unreadBytes: () => process.stdout.writableLength,
    exit: (code) => process.exit(code),
  });
  const stop = (): void => {
    // A second signal ends the process at once.
    process.once("SIGTERM", () => process.exit(1));
    process.once("SIGINT", () => process.exit(1));
    void ztunnel.drain().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  // Now, and not only at an orderly end: reading TypeScript again costs the next start 30 MB.
  flushCompileCache();
} catch (error) {
  const hint = error instanceof MeshError && error.hint ? `\nhint: ${error.hint}` : "";
  process.stderr.write(`ztunnel: ${describeError(error)}${hint}\n`);
  process.exitCode = 1;
}
