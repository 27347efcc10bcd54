/**
 * The CNI agent beside a stock ztunnel: one per node. Its configuration is ztunnel's: config.ts.
 */
import { processHost } from "#common/runtime/process-host.ts";
import { runProgram } from "#common/runtime/run-program.ts";
import { loadConfig } from "./config.ts";
import { ZdsAgent } from "./zds-agent.ts";

await runProgram("cni-agent", async () => {
  const agent = await ZdsAgent.start(loadConfig(process.env), processHost());
  return () => agent.stop();
});
