/** Writes manifests/crds. usage: npm run generate:crds */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crdFiles } from "./crds.ts";

const FOLDER = join(import.meta.dirname, "../../manifests/crds");

const files = crdFiles();
mkdirSync(FOLDER, { recursive: true });
for (const name of readdirSync(FOLDER)) {
  if (name.endsWith(".yaml") && !files.has(name)) rmSync(join(FOLDER, name));
}
for (const [name, text] of files) writeFileSync(join(FOLDER, name), text);
process.stdout.write(`${files.size} files in manifests/crds\n`);
