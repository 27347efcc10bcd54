/** istiod-lite: the control plane. `--help` lists its options. */
import { processHost } from "#common/runtime/process-host.ts";
import { runProgram } from "#common/runtime/run-program.ts";
import { Istiod } from "./app.ts";
import { parseOptions } from "./options.ts";

await runProgram("istiod-lite", async () => {
  const host = processHost();
  const istiod = await Istiod.start(parseOptions(process.argv.slice(2), host.env), host);
  return () => istiod.close();
});
