/** Lists of header names as providers have them: `name`, `prefix*`, `*suffix`, in any case. */
import { compileTexts, parseText } from "#common/authorization/http/text-match.ts";

type Pattern = (name: string) => boolean;

const compiled = new WeakMap<readonly string[], Pattern>();

/** Cached by the list's identity. Names are given in lower case. */
export function headerPattern(list: readonly string[]): Pattern {
  let pattern = compiled.get(list);
  if (pattern === undefined) {
    const matches = list.flatMap((text) => parseText(text, { ignoreCase: true }) ?? []);
    pattern = compileTexts(matches);
    compiled.set(list, pattern);
  }
  return pattern;
}
