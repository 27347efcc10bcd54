/** Wraps comments that are too wide, which the formatter leaves alone. usage: --all | FILE ... */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCode, listFiles, ROOT } from "../test/house/tree.ts";
import { wrapComments } from "../test/house/wrap-comments.ts";

/** Never everything by default: an empty list of files is more often a slip than a wish. */
function chosenPaths(args: readonly string[]): string[] {
  if (args.length === 0) {
    console.error("usage: node tools/wrap-comments.ts --all | FILE ...");
    process.exit(2);
  }
  if (!args.includes("--all")) return [...args];
  return listFiles()
    .filter(isCode)
    .map((path) => join(ROOT, path));
}

for (const path of chosenPaths(process.argv.slice(2))) {
  if (!path.endsWith(".ts")) continue;
  const text = readFileSync(path, "utf8");
  const wrapped = wrapComments(text);
  if (wrapped === text) continue;
  writeFileSync(path, wrapped);
  console.log(`wrapped comments in ${path}`);
}
