/**
 * Request principals, `<iss>/<sub>`: issuer and subject are compared apart, since either may hold a
 * slash: a token of one issuer must not be taken for another's.
 * Source: istio/istio pilot/pkg/security/authz/model/generator.go.
 */
import { claimTexts } from "./claims.ts";
import type { RequestView } from "./request-view.ts";
import { compileTexts, type TextMatch } from "./text-match.ts";

type TokenTest = (issuer: string, subject: string) => boolean;

const ANY: TextMatch = { kind: "any", orEmpty: false };

/** Undefined for what is no value. */
function parseRequestPrincipal(text: string): TokenTest | undefined {
  if (text === "") return undefined;
  const slash = text.lastIndexOf("/");
  const [before, after] = slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1)];
  const issuer = issuerOf(text, before, slash >= 0);
  const subject = subjectOf(text, after, slash >= 0);
  return (iss, sub) => issuer(iss) && subject(sub);
}

function issuerOf(text: string, before: string, split: boolean): (issuer: string) => boolean {
  if (text.startsWith("*")) {
    return one(split && before !== "*" ? exactly("suffix", before.slice(1)) : ANY);
  }
  if (text.endsWith("*") && !split) return one(exactly("prefix", before.slice(0, -1)));
  return one(exactly("exact", before));
}

function subjectOf(text: string, after: string, split: boolean): (subject: string) => boolean {
  if (text === "*") return one(ANY);
  if (text.startsWith("*")) {
    return one(split ? exactly("exact", after) : exactly("suffix", text.slice(1)));
  }
  if (!text.endsWith("*")) return one(exactly("exact", after));
  return one(!split || after === "*" ? ANY : exactly("prefix", after.slice(0, -1)));
}

function exactly(kind: "exact" | "prefix" | "suffix", value: string): TextMatch {
  return { kind, value };
}

function one(match: TextMatch): (text: string) => boolean {
  return compileTexts([match]);
}

/** Whether the only token meets one of the values, which are all valid. */
export function compileRequestPrincipals(
  values: readonly string[],
): (view: RequestView) => boolean {
  const tests = values.flatMap((value) => parseRequestPrincipal(value) ?? []);
  return ({ http }) => {
    const tokens = http?.tokens ?? [];
    const [issuer] = claimTexts(tokens[0], ["iss"]);
    const [subject] = claimTexts(tokens[0], ["sub"]);
    // Of several tokens none is the caller's for certain.
    if (tokens.length !== 1 || issuer === undefined || subject === undefined) return false;
    return tests.some((test) => test(issuer, subject));
  };
}
