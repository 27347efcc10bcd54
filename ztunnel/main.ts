/** ztunnel: one per node. Its configuration comes from the environment: see config.ts. */
import { processHost } from "#common/runtime/process-host.ts";
import { runProgram } from "#common/runtime/run-program.ts";
import { Ztunnel } from "./app.ts";
import { loadConfig } from "./config.ts";

await runProgram("ztunnel", async () => {
  const ztunnel = await Ztunnel.start(loadConfig(process.env), processHost());
  return () => ztunnel.drain();
});
