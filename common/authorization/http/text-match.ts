/**
 * The texts of policies, compiled: `a` whole, `a*` and `*a` begin and end, `*` anything, and for
 * paths Istio's templates. No policy text ever becomes a regular expression.
 */
import { type PathTemplate, parsePathTemplate } from "./path-template.ts";

export type TextMatch =
  | { readonly kind: "exact" | "prefix" | "suffix"; readonly value: string }
  | { readonly kind: "any"; readonly orEmpty: boolean }
  | { readonly kind: "template"; readonly template: PathTemplate };

export interface TextSyntax {
  /** How values stand for what comes over the wire. @default as they are */
  readonly forms?: (value: string) => readonly string[];
  readonly ignoreCase?: boolean;
  readonly templates?: boolean;
  /** Whether `*` is met by an empty text, too. */
  readonly emptyIsPresent?: boolean;
  /** No value can hold a `*`: one in the middle is a mistake. */
  readonly noStarInside?: boolean;
  /** Whether wildcards stand for nothing but themselves. */
  readonly noWildcards?: boolean;
}

/** Undefined for what is no value. */
export function parseText(text: string, syntax: TextSyntax): readonly TextMatch[] | undefined {
  if (text === "") return undefined;
  if (syntax.noWildcards) return text.includes("*") ? undefined : [{ kind: "exact", value: text }];
  if (text === "*") return [{ kind: "any", orEmpty: syntax.emptyIsPresent ?? false }];
  if (syntax.templates && /\{\*\*?\}/.test(text)) {
    const template = parsePathTemplate(text);
    return template && [{ kind: "template", template }];
  }
  const cut = text.startsWith("*") ? "suffix" : text.endsWith("*") ? "prefix" : "exact";
  const bare = cut === "suffix" ? text.slice(1) : cut === "prefix" ? text.slice(0, -1) : text;
  if (syntax.noStarInside && bare.includes("*")) return undefined;
  const value = syntax.ignoreCase ? bare.toLowerCase() : bare;
  return (syntax.forms?.(value) ?? [value]).map((form) => ({ kind: cut, value: form }));
}

export function matchesText(match: TextMatch, text: string): boolean {
  switch (match.kind) {
    case "exact":
      return text === match.value;
    case "prefix":
      return text.startsWith(match.value);
    case "suffix":
      return text.endsWith(match.value);
    case "any":
      return match.orEmpty || text !== "";
    case "template":
      return match.template.matches(text);
  }
}

/** Whether one of them matches. */
export function compileTexts(matches: readonly TextMatch[]): (text: string) => boolean {
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return (text) => matchesText(only, text);
  const exact = new Set(matches.flatMap((m) => (m.kind === "exact" ? [m.value] : [])));
  const others = matches.filter((m) => m.kind !== "exact");
  if (others.length === 0) return (text) => exact.has(text);
  return (text) => exact.has(text) || others.some((match) => matchesText(match, text));
}

/** A value's bytes in UTF-8, one character each: how a header value or a path arrives. */
export function wireBytes(value: string): string {
  return isAscii(value) ? value : Buffer.from(value, "utf8").toString("latin1");
}

export function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false;
  return true;
}
