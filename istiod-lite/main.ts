/** istiod-lite: the control plane. `--help` lists its options. */
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { Istiod } from "./app.ts";
import { parseOptions } from "./options.ts";

try {
  const options = parseOptions(process.argv.slice(2), process.env);
  const istiod = await Istiod.start(options, {
    write: (line) => void process.stdout.write(line),
    unreadBytes: () => process.stdout.writableLength,
  });
  const stop = (): void => void istiod.close().then(() => process.exit(0));
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
} catch (error) {
  const hint = error instanceof MeshError && error.hint ? `\nhint: ${error.hint}` : "";
  process.stderr.write(`istiod-lite: ${describeError(error)}${hint}\n`);
  process.exitCode = 1;
}
