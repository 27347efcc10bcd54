/**
 * The CNI agent beside a stock ztunnel: one per node. Its configuration is ztunnel's: config.ts.
 */
import { runProgram } from "#common/runtime/run-program.ts";
import { VERSION } from "#common/runtime/version.ts";
import { loadConfig } from "./config.ts";
import { ZdsAgent } from "./zds-agent.ts";

await runProgram("cni-agent", async () => {
  const agent = await ZdsAgent.start(loadConfig(process.env), {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
  });
  return () => agent.stop();
});
