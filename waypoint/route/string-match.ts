/** Compares texts as a `StringMatch` asks, compiled. */
import type { StringMatch } from "#common/model/waypoint/http-route.ts";
import { compileRegex, type Report } from "./regex.ts";

export type StringTest = (value: string) => boolean;

/** Undefined, and reported, for a regular expression that is none: it must never match. */
export function compileStringMatch(match: StringMatch, report: Report): StringTest | undefined {
  const ignoreCase = match.ignoreCase === true;
  if (match.kind === "presence") return () => true;
  if (match.kind === "regex") {
    const regex = compileRegex(match.value, ignoreCase, report);
    return regex && ((value) => regex.testExact(value));
  }
  if (!ignoreCase) return plainTest(match.kind, match.value);
  const test = plainTest(match.kind, match.value.toLowerCase());
  return (value) => test(value.toLowerCase());
}

function plainTest(kind: "exact" | "prefix" | "suffix", expected: string): StringTest {
  switch (kind) {
    case "exact":
      return (value) => value === expected;
    case "prefix":
      return (value) => value.startsWith(expected);
    case "suffix":
      return (value) => value.endsWith(expected);
  }
}
