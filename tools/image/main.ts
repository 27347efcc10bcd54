/** `npm run image`: the project's container image as a tar, made without Docker. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { failureText } from "#common/runtime/errors.ts";
import { buildImage } from "./build.ts";
import { DEBIAN_ARCHITECTURES } from "./contents.ts";

const ROOT = join(import.meta.dirname, "../..");

const command = new Command("image")
  .description("Makes the container image as an OCI tar. Needs root and Debian (apt-get).")
  .option("--output <file>", "where to write the tar", "ambient-mesh.tar")
  .addOption(
    new Option("--arch <name>", "of the machines that run it")
      .choices(Object.keys(DEBIAN_ARCHITECTURES))
      .default(process.arch),
  );

const { output, arch } = command.parse().opts<{ output: string; arch: string }>();
// npm runs scripts in the package's folder; what people name is where they typed.
const file = resolve(process.env.INIT_CWD ?? ".", output);
const scratch = mkdtempSync(join(tmpdir(), "ambient-mesh-image-"));
try {
  mkdirSync(dirname(file), { recursive: true });
  const { reference, digest, packages } = buildImage({ root: ROOT, output: file, scratch, arch });
  for (const { name, version } of packages) console.log(`${name} ${version}`);
  console.log(`${file}: ${Math.round(statSync(file).size / 1e6)} MB, ${reference}, ${digest}`);
} catch (error) {
  process.stderr.write(failureText("image", error, "next"));
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
