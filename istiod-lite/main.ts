/** istiod-lite: the control plane. `--help` lists its options. */
import { runProgram } from "#common/runtime/run-program.ts";
import { Istiod } from "./app.ts";
import { parseOptions } from "./options.ts";

await runProgram("istiod-lite", async () => {
  const options = parseOptions(process.argv.slice(2), process.env);
  const istiod = await Istiod.start(options, {
    write: (line) => void process.stdout.write(line),
    unreadBytes: () => process.stdout.writableLength,
  });
  return () => istiod.close();
});
