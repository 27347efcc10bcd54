/**
 * Every check that runs nothing: types, lint and format, and the house rules. All run, all report.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

interface Check {
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
}

const CHECKS: readonly Check[] = [
  { title: "types", command: "tsc", args: ["--project", "."] },
  { title: "lint and format", command: "tools/biome", args: ["check", "--error-on-warnings", "."] },
  {
    title: "house rules",
    command: "node",
    args: ["--test", "test/boundary.test.ts", "test/tidy.test.ts"],
  },
];

function passes(check: Check): boolean {
  console.log(`\n--- ${check.title}: ${check.command} ${check.args.join(" ")}`);
  const result = spawnSync(check.command, check.args, { cwd: ROOT, stdio: "inherit" });
  if (result.error !== undefined) console.error(result.error.message);
  return result.status === 0;
}

const failed = CHECKS.filter((check) => !passes(check)).map((check) => check.title);
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(", ")} (npm run format mends what a program can)`);
  process.exitCode = 1;
} else {
  console.log("\nall checks passed");
}
