/**
 * Regular expressions that users write: RE2's, whose time goes with the length of the text whatever
 * the expression is. Compiled when configuration arrives, never while a request waits.
 */
import { RE2JS } from "re2js";
import { REGEX_CHARACTERS, REGEX_PROGRAM_SIZE } from "./limits.ts";

/** Tells of one thing in the configuration that could not be compiled. */
export type Report = (message: string) => void;

/** Undefined, and reported, where the text is no expression of RE2 or is beyond a bound. */
export function compileRegex(
  pattern: string,
  ignoreCase: boolean,
  report: Report,
): RE2JS | undefined {
  if (pattern.length > REGEX_CHARACTERS) {
    report(`a regular expression has ${pattern.length} characters, at most ${REGEX_CHARACTERS}`);
    return undefined;
  }
  try {
    const compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
    const size = compiled.programSize();
    if (size <= REGEX_PROGRAM_SIZE) return compiled;
    report(`regular expression ${JSON.stringify(pattern)} is too large (${size} instructions)`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    report(`regular expression ${JSON.stringify(pattern)} is not RE2's: ${why}`);
  }
  return undefined;
}

const LITERAL = /^[A-Za-z0-9/_-]*/;
/** What follows may apply to the character before it: `a*`, and by way of nothing `a(?)*`. */
const TOUCHES_LAST = "?*+{(\\";

/**
 * Characters with which every text begins that the expression matches as a whole: a cheap first
 * look. Errs on the short side.
 */
export function literalPrefix(pattern: string): string {
  if (pattern.includes("|") && hasTopLevelAlternative(pattern)) return "";
  const literal = LITERAL.exec(pattern)?.[0] ?? "";
  const next = pattern[literal.length];
  return next !== undefined && TOUCHES_LAST.includes(next) ? literal.slice(0, -1) : literal;
}

/** Any `|` that is not surely inside a group counts. */
function hasTopLevelAlternative(pattern: string): boolean {
  if (/[\\[]/.test(pattern)) return true;
  let depth = 0;
  for (const character of pattern) {
    if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (character === "|" && depth === 0) return true;
  }
  return false;
}
