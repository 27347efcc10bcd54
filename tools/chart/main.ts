/** Writes manifests/chart. usage: npm run generate:chart */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { chartFiles } from "./chart-files.ts";
import { CHART, chartSources } from "./chart-sources.ts";

const { manifests, definitions } = await chartSources();
const files = chartFiles(manifests, definitions);
for (const folder of ["templates", "crds"])
  rmSync(join(CHART, folder), { recursive: true, force: true });
for (const [name, text] of files) {
  mkdirSync(dirname(join(CHART, name)), { recursive: true });
  writeFileSync(join(CHART, name), text);
}
process.stdout.write(`${files.size} files in manifests/chart\n`);
