/**
 * What a policy can ask about as text, and how its values are written. Each has two readings: what
 * it `certain`ly is, and what an upstream might `possib`ly take it for. Whatever would widen access
 * (an ALLOW's values, a DENY's exceptions) has to meet the former, whatever would narrow it the
 * latter.
 */
import { withoutScheme } from "../connection-view.ts";
import { claimTexts } from "./claims.ts";
import type { RequestView, Texts } from "./request-view.ts";
import { type TextSyntax, wireBytes } from "./text-match.ts";

export interface TextSubject {
  /** The same for the same attribute: part of the index's keys. */
  readonly id: string;
  readonly http: boolean;
  readonly syntax: TextSyntax;
  /** How well it tells requests apart; the index prefers the lowest. */
  readonly rank: number;
  /** Whether all that it certainly is has to match, and not only one of it. */
  readonly every?: boolean;
  certain(view: RequestView): Texts;
  possible(view: RequestView): Texts;
}

type Single = "principal" | "namespace" | "serviceAccount" | "trustDomain" | "sni";

function single(id: Single, rank: number, syntax: TextSyntax): TextSubject {
  const read = (view: RequestView): Texts => view[id];
  return { id, http: false, rank, syntax, certain: read, possible: read };
}

const ESCAPED_WITH: TextSyntax["forms"] = (value) => {
  const bytes = wireBytes(value);
  const escaped = escapeBytes(bytes);
  return bytes === escaped ? [bytes] : [bytes, escaped];
};

export const PRINCIPAL = single("principal", 0, {
  noStarInside: true,
  forms: (value) => [withoutScheme(value)],
});
export const SERVICE_ACCOUNT = single("serviceAccount", 1, { noWildcards: true });
export const NAMESPACE = single("namespace", 6, { noStarInside: true });
export const TRUST_DOMAIN = single("trustDomain", 11, { noStarInside: true });
export const SNI = single("sni", 5, { ignoreCase: true });

export const PATH: TextSubject = {
  id: "path",
  http: true,
  rank: 4,
  syntax: { templates: true, forms: ESCAPED_WITH },
  certain: (view) => view.path,
  possible: (view) => view.path,
};

export const METHOD: TextSubject = {
  id: "method",
  http: true,
  rank: 10,
  syntax: {},
  certain: (view) => view.method,
  possible: (view) => view.methods,
};

export const HOST: TextSubject = {
  id: "host",
  http: true,
  rank: 5,
  syntax: { ignoreCase: true, emptyIsPresent: true },
  certain: (view) => view.host,
  possible: (view) => view.hosts,
};

/** `<iss>/<sub>` of the token; how it is compared is request-principal.ts's. */
export const REQUEST_PRINCIPAL: TextSubject = {
  id: "requestPrincipal",
  http: true,
  rank: 2,
  syntax: {},
  certain: joinedPrincipals,
  possible: joinedPrincipals,
};

/** A header; `name` in whatever case. */
export function headerSubject(name: string): TextSubject {
  const lower = name.toLowerCase();
  return {
    id: `header[${lower}]`,
    http: true,
    rank: 3,
    every: true,
    syntax: { emptyIsPresent: true, forms: (value) => [wireBytes(value)] },
    certain: (view) => view.http?.headers.getAll(lower) ?? [],
    possible: (view) => headerReadings(view.http?.headers.getAll(lower) ?? []),
  };
}

/** A claim of the verified token, by its path; strings, and elements of lists. */
export function claimSubject(path: readonly string[]): TextSubject {
  return {
    id: `claim${path.map((name) => `[${name}]`).join("")}`,
    http: true,
    rank: 3,
    syntax: {},
    // Of several tokens none is the caller's for certain.
    certain: ({ http }) => (http?.tokens.length === 1 ? claimTexts(http.tokens[0], path) : []),
    possible: ({ http }) => http?.tokens.flatMap((token) => claimTexts(token, path, true)) ?? [],
  };
}

function joinedPrincipals({ http }: RequestView): Texts {
  return (http?.tokens ?? []).flatMap((token) => {
    const [issuer] = claimTexts(token, ["iss"]);
    const [subject] = claimTexts(token, ["sub"]);
    return issuer === undefined || subject === undefined ? [] : [`${issuer}/${subject}`];
  });
}

/** Each line, each element of a list, and all as one: RFC 9110 5.3 lets upstreams read any. */
function headerReadings(lines: readonly string[]): Texts {
  if (lines.length === 0) return lines;
  if (lines.length === 1 && !lines[0]?.includes(",")) return lines;
  const elements = lines.flatMap((line) => line.split(",").map((element) => element.trim()));
  return [...new Set([...lines, ...elements, lines.join(","), lines.join(", ")])];
}

/** Percent-encodes what cannot stand in a path as it is. */
function escapeBytes(bytes: string): string {
  return bytes.replace(
    /[^!-~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
