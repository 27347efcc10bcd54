/** waypoint: L7 for the services that use it. Its configuration comes from the environment. */
import { flushCompileCache } from "node:module";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { Waypoint } from "./app.ts";
import { loadConfig } from "./config.ts";

try {
  const waypoint = await Waypoint.start(loadConfig(process.env), {
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
    void waypoint.drain().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  // Now, and not only at an orderly end: reading TypeScript again costs the next start 30 MB.
  flushCompileCache();
} catch (error) {
  const hint = error instanceof MeshError && error.hint ? `\nhint: ${error.hint}` : "";
  process.stderr.write(`waypoint: ${describeError(error)}${hint}\n`);
  process.exitCode = 1;
}
