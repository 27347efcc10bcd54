/** waypoint: L7 for the services that use it. Its configuration comes from the environment. */
import { runProgram } from "#common/runtime/run-program.ts";
import { VERSION } from "#common/runtime/version.ts";
import { Waypoint } from "./app.ts";
import { loadConfig } from "./config.ts";

await runProgram("waypoint", async () => {
  const waypoint = await Waypoint.start(loadConfig(process.env), {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
    unreadBytes: () => process.stdout.writableLength,
    exit: (code) => process.exit(code),
  });
  return () => waypoint.drain();
});
