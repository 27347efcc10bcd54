/** Inputs that once showed a fault: files in cases/<target>, tried first ever after. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const CASES = join(import.meta.dirname, "cases");
const NAME_CHARACTERS = 12;

export interface Case {
  readonly file: string;
  readonly input: Buffer;
}

export function readCases(target: string): readonly Case[] {
  const dir = join(CASES, target);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .sort()
    .map((file) => ({ file, input: readFileSync(join(dir, file)) }));
}

/** Names of the targets that have cases. */
export function targetsWithCases(): readonly string[] {
  return existsSync(CASES) ? readdirSync(CASES).sort() : [];
}

/** Returns the path of the file, from where the command was started. */
export function writeCase(target: string, input: Uint8Array): string {
  const dir = join(CASES, target);
  mkdirSync(dir, { recursive: true });
  const hash = createHash("sha256").update(input).digest("hex").slice(0, NAME_CHARACTERS);
  const file = join(dir, `${hash}.bin`);
  writeFileSync(file, input);
  return relative(process.cwd(), file);
}
