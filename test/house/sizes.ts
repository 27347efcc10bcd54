/** Measures what the ratchet holds: files, functions and lines over their budget. */
import { functionSpans, type ParsedFile } from "./syntax.ts";
import { isCode, readText } from "./tree.ts";

/** The budgets; the words end the sentence "... has N". */
export const BUDGETS = {
  fileLines: { limit: 300, unit: "lines", advice: "split it by its reasons to exist" },
  functionLines: { limit: 40, unit: "lines", advice: "give its parts names of their own" },
  wideLines: { limit: 0, unit: "lines over 100 columns", advice: "break them" },
} as const;

export type Budget = keyof typeof BUDGETS;

/** What is over budget: by path, or by `path > function` (the largest of that name). */
export type Sizes = Readonly<Record<Budget, Readonly<Record<string, number>>>>;

const MAX_COLUMNS = 100;

export function measureSizes(paths: readonly string[], parsed: readonly ParsedFile[]): Sizes {
  const fileLines: Record<string, number> = {};
  const wideLines: Record<string, number> = {};
  for (const path of paths.filter(isCode)) {
    const lines = readText(path).trimEnd().split("\n");
    fileLines[path] = lines.length;
    wideLines[path] = lines.filter(isTooWide).length;
  }
  return overBudget({ fileLines, functionLines: measureFunctions(parsed), wideLines });
}

/** An address and the title of a test are not broken: people look for them as they are. */
function isTooWide(line: string): boolean {
  if (/^\W*https?:\S+$/.test(line) || /^\s*(test|it|describe|suite)\(["'`]/.test(line))
    return false;
  return line.length > MAX_COLUMNS;
}

function measureFunctions(parsed: readonly ParsedFile[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { path, source } of parsed) {
    if (!isCode(path)) continue;
    for (const { name, lines } of functionSpans(source)) {
      const key = `${path} > ${name}`;
      found[key] = Math.max(found[key] ?? 0, lines);
    }
  }
  return found;
}

function overBudget(sizes: Sizes): Sizes {
  const over = (budget: Budget) =>
    Object.fromEntries(
      Object.entries(sizes[budget]).filter(([, size]) => size > BUDGETS[budget].limit),
    );
  return {
    fileLines: over("fileLines"),
    functionLines: over("functionLines"),
    wideLines: over("wideLines"),
  };
}
