/** ztunnel: one per node. Its configuration comes from the environment: see config.ts. */
import { runProgram } from "#common/runtime/run-program.ts";
import { VERSION } from "#common/runtime/version.ts";
import { Ztunnel } from "./app.ts";
import { loadConfig } from "./config.ts";

await runProgram("ztunnel", async () => {
  const ztunnel = await Ztunnel.start(loadConfig(process.env), {
    env: process.env,
    version: VERSION,
    write: (lines) => void process.stdout.write(lines),
    unreadBytes: () => process.stdout.writableLength,
    exit: (code) => process.exit(code),
  });
  return () => ztunnel.drain();
});
