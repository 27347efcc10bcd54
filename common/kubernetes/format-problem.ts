/** Problems as lines for people and editors: `file:line:column: error: field: message (hint)`. */
import type { Problem } from "#common/kubernetes/problem.ts";

/** One line without its newline; control characters from the input are shown, never printed raw. */
export function formatProblem(problem: Problem): string {
  const field = problem.field === "" ? "" : `${problem.field}: `;
  const hint = problem.hint === undefined ? "" : ` (${problem.hint})`;
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  return printable(`${place}: ${problem.severity}: ${field}${problem.message}${hint}`);
}

function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is shown
  return line.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
