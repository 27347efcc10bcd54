/** The files of this repository, and which rules each kind of file is under. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");

/** Generated from .proto files: held to nothing but its place. */
export const GENERATED_FOLDER = "common/xds/gen/";

/**
 * Every file git knows or would add, as paths from the root, sorted. Untracked files count, so
 * that a rule speaks before the commit and not after it.
 */
export function listFiles(): string[] {
  // As root in someone else's checkout, git wants to be told that this is meant.
  const args = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"];
  const options = { cwd: ROOT, encoding: "utf8", maxBuffer: 64 << 20 } as const;
  const listed = execFileSync("git", [...args, "--exclude-standard"], options);
  const deleted = execFileSync(
    "git",
    ["-c", "safe.directory=*", "ls-files", "-z", "--deleted"],
    options,
  );
  const gone = new Set(deleted.split("\0"));
  return [...new Set(listed.split("\0"))].filter((path) => path !== "" && !gone.has(path)).sort();
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function isGenerated(path: string): boolean {
  return path.startsWith(GENERATED_FOLDER);
}

/** Written by people, in a language the rules on size and comments are meant for. */
export function isCode(path: string): boolean {
  if (isGenerated(path)) return false;
  return /\.(ts|mjs|js|sh)$/.test(path) || /^(tools|\.ci)\/[a-z-]+$/.test(path);
}

/** Tests, and by their names what only tests use: fixtures, arbitraries for fuzzing, oracles. */
export function isTest(path: string): boolean {
  return path.startsWith("test/") || /(\.test|[-/](fixtures?|arbitraries|oracle))\.ts$/.test(path);
}
