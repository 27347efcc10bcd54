/**
 * Takes the mesh off the node that it runs on, then stays, ready, until it is ended. Its
 * configuration is that of the node's ztunnel: config.ts.
 */
import { serveReadiness } from "#common/admin/status-servers.ts";
import { runProgram } from "#common/runtime/run-program.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { loadConfig } from "./config.ts";
import { uninstallNode } from "./uninstall-node.ts";

await runProgram("uninstall-node", async () => {
  const config = loadConfig(process.env);
  const { logLevels: level, logFormat: format } = config;
  const write = (lines: string): void => void process.stdout.write(lines);
  const log = createLogger({ level, format, write }).scope("uninstall");
  const stopping = new AbortController();
  let pending = ["the mesh's rules and its CNI plugin"];
  const server = await serveReadiness(config.readinessPort, () => pending);
  await uninstallNode(config, log, stopping.signal);
  pending = [];
  return () => {
    stopping.abort();
    return server.close();
  };
});
