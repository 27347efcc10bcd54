/**
 * Takes the mesh off the node that it runs on, then stays, ready, until it is ended. Its
 * configuration is that of the node's ztunnel: config.ts.
 */
import { serveReadiness } from "#common/admin/status-servers.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { loadConfig } from "./config.ts";
import { uninstallNode } from "./uninstall-node.ts";

try {
  const config = loadConfig(process.env);
  const { logLevels: level, logFormat: format } = config;
  const write = (lines: string): void => void process.stdout.write(lines);
  const log = createLogger({ level, format, write }).scope("uninstall");
  const stopping = new AbortController();
  let pending = ["the mesh's rules and its CNI plugin"];
  const server = await serveReadiness(config.readinessPort, () => pending);
  const stop = (): void => {
    stopping.abort();
    void server.close().then(() => process.exit(0));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  await uninstallNode(config, log, stopping.signal);
  pending = [];
} catch (error) {
  const hint = error instanceof MeshError && error.hint ? `\nhint: ${error.hint}` : "";
  process.stderr.write(`uninstall-node: ${describeError(error)}${hint}\n`);
  process.exit(1);
}
