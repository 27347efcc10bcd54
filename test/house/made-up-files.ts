/** Files that exist only to be found fault with: the tests of the house rules parse them. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ParsedFile, withParsedFiles } from "./syntax.ts";

const COMPILER_OPTIONS = { noEmit: true, noLib: true, noResolve: true, types: [] };

/** Parses texts, by their paths, with the real compiler, and returns what `use` returns. */
export function parseTexts<T>(
  texts: Readonly<Record<string, string>>,
  use: (files: readonly ParsedFile[]) => T,
): T {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "ambient-mesh-house-")));
  try {
    const project = { compilerOptions: COMPILER_OPTIONS, include: ["."] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
    for (const [path, text] of Object.entries(texts)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return withParsedFiles(folder, use);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
