/** What becomes of a path that is rewritten or redirected, compiled. */
import type { HttpMatch, pathRewrite } from "#common/model/waypoint/http-route.ts";
import type { Of } from "#common/model/waypoint/shape.ts";
import { compileRegex, type Report } from "./regex.ts";

type PathRewrite = Of<typeof pathRewrite>;

/** Takes and returns path and query. */
export type PathRewriter = (path: string) => string;

/**
 * Undefined, and reported, for a regular expression that is none: then the request cannot go
 * anywhere, since nobody knows the path that was meant.
 */
export function compilePathRewrite(
  rewrite: PathRewrite,
  match: HttpMatch | undefined,
  report: Report,
): PathRewriter | undefined {
  switch (rewrite.kind) {
    case "full":
      return (path) => withQuery(rewrite.value, path);
    case "prefix":
      return prefixRewriter(rewrite.value, match?.path);
    case "regex":
      return regexRewriter(rewrite, report);
  }
}

/** The query stays, unless the new path brings its own. */
function withQuery(value: string, path: string): string {
  const pathname = value.startsWith("/") ? value : `/${value}`;
  const question = path.indexOf("?");
  return question < 0 || pathname.includes("?") ? pathname : pathname + path.slice(question);
}

/**
 * Where the match goes by segments, or there is none, slashes at the seam are put right as Gateway
 * API's ReplacePrefixMatch asks. Istio's prefix is replaced character by character; what an exact
 * path or a regular expression covers is the whole path.
 */
function prefixRewriter(value: string, matched: HttpMatch["path"]): PathRewriter {
  if (matched === undefined) return (path) => joined(value, path);
  switch (matched.kind) {
    case "path-prefix": {
      const covered = matched.value.replace(/\/$/, "").length;
      return (path) => joined(value, path.slice(covered));
    }
    case "prefix":
      return (path) => rooted(value + path.slice(matched.value.length));
    case "exact":
    case "regex":
      return (path) => withQuery(value, path);
  }
}

function joined(prefix: string, rest: string): string {
  const trimmed = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return rooted(trimmed + rest);
}

function rooted(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}

/** Each match of the pattern in the path, not in the query. Source: Envoy's regex_rewrite. */
function regexRewriter(
  { pattern = "", value }: PathRewrite,
  report: Report,
): PathRewriter | undefined {
  const regex = compileRegex(pattern, false, report);
  if (regex === undefined) return undefined;
  const parts = substitution(value);
  const groups = regex.groupCount();
  if (parts.some((part) => typeof part === "number" && part > groups)) {
    report(`${JSON.stringify(value)} refers to a group that ${JSON.stringify(pattern)} lacks`);
    return undefined;
  }
  const replace = (...found: unknown[]): string =>
    parts.map((part) => (typeof part === "number" ? (found[part] ?? "") : part)).join("");
  return (path) => {
    const question = path.indexOf("?");
    const pathname = question < 0 ? path : path.slice(0, question);
    const rewritten = rooted(regex.matcher(pathname).replaceAll(replace));
    return question < 0 ? rewritten : rewritten + path.slice(question);
  };
}

/** RE2's notation: `\1` is a group, `\0` the whole match, `\\` a backslash. */
function substitution(value: string): readonly (string | number)[] {
  return value
    .split(/(\\[0-9\\])/)
    .filter((part) => part !== "")
    .map((part) => {
      if (!/^\\[0-9\\]$/.test(part)) return part;
      return part === "\\\\" ? "\\" : Number(part[1]);
    });
}
