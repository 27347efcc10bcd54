/** Writes manifests/chart. usage: npm run generate:chart */
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { renderKustomization } from "#meshctl/install/kustomization.ts";
import { chartFiles } from "./chart-files.ts";

const MANIFESTS = join(import.meta.dirname, "../../manifests");
const CHART = join(MANIFESTS, "chart");

const files = chartFiles(await renderKustomization(join(MANIFESTS, "base")));
for (const folder of ["templates", "crds"])
  rmSync(join(CHART, folder), { recursive: true, force: true });
for (const [name, text] of files) {
  mkdirSync(dirname(join(CHART, name)), { recursive: true });
  writeFileSync(join(CHART, name), text);
}
// Helm makes them only where a cluster has none, and never changes them.
mkdirSync(join(CHART, "crds"));
for (const name of readdirSync(join(MANIFESTS, "crds"))) {
  if (name !== "kustomization.yaml") symlinkSync(`../../crds/${name}`, join(CHART, "crds", name));
}
process.stdout.write(`${files.size} files in manifests/chart\n`);
