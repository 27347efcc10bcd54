/** waypoint: L7 for the services that use it. Its configuration comes from the environment. */
import { processHost } from "#common/runtime/process-host.ts";
import { runProgram } from "#common/runtime/run-program.ts";
import { Waypoint } from "./app.ts";
import { loadConfig } from "./config.ts";

await runProgram("waypoint", async () => {
  const waypoint = await Waypoint.start(loadConfig(process.env), processHost());
  return () => waypoint.drain();
});
