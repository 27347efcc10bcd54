/**
 * The CNI agent beside a stock ztunnel: one per node. Its configuration is ztunnel's: config.ts.
 */
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { CniAgent } from "./cni-agent.ts";
import { loadConfig } from "./config.ts";

try {
  const agent = await CniAgent.start(loadConfig(process.env), {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
  });
  const stop = (): void => void agent.stop().then(() => process.exit(0));
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
} catch (error) {
  const hint = error instanceof MeshError && error.hint ? `\nhint: ${error.hint}` : "";
  process.stderr.write(`cni-agent: ${describeError(error)}${hint}\n`);
  process.exitCode = 1;
}
