/**
 * The path of a request in its one spelling. Source of the modes: MeshConfig
 * pathNormalization.normalization; of the rules: RFC 3986 6.2.2.
 *
 * | | none | base | merge-slashes | decode-and-merge-slashes |
 * |---|---|---|---|---|
 * | `%41`, `%2e`; `%c3` | as it is | decoded where unreserved; `%C3` | as base | as base |
 * | `/./`, `/../`, `\` | as it is | resolved; `\` is `/` | as base | as base |
 * | `//` | as it is | as it is | `/` | `/` |
 * | `%2f`, `%5c` | as it is | `%2F`, `%5C` | as base | `/` |
 *
 * Parameters (`;a=b`) and the query stay as they are. Whatever the mode, a path is refused that
 * servers read in different ways: `#`, control characters, `%00`, escapes that are none, and (but
 * for `none`) segments that are `.` or `..` to some servers only: `..;a`, `..%2F`.
 */
export type PathNormalisation = "none" | "base" | "merge-slashes" | "decode-and-merge-slashes";

/** Istio's default. */
export const DEFAULT_PATH_NORMALISATION: PathNormalisation = "base";

export interface RefusedPath {
  /** For the client and the log; quotes nothing of the path. */
  readonly refused: string;
}

/** All that normalisation could change or refuse shows in one of these. */
const SUSPECT = /[^!$&'()*+,\-0-9:;<=>@A-Z[\]^_`a-z{|}~"/?.]|\/\.|\/\//;
const FORBIDDEN = /[\0-\x20\x7f#]|[^\0-\xff]/;
const NON_ASCII = /[\x80-\xff]/g;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})|%00/;
const ESCAPE = /%([0-9A-Fa-f]{2})/g;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
/** A segment that is `.` or `..` once parameters are cut off or escaped slashes are decoded. */
const AMBIGUOUS_DOTS = /(?:\/|%2F|%5C)\.\.?(?:;|%3B|%2F|%5C)|(?:%2F|%5C)\.\.?(?:\/|$)/;

/** `path`: path and query, beginning with a slash. */
export function normalisePath(path: string, mode: PathNormalisation): string | RefusedPath {
  if (!path.startsWith("/")) return refused("the path does not begin with a slash");
  if (!SUSPECT.test(path)) return path;
  if (FORBIDDEN.test(path)) return refused("the path has a character that no path may have");
  const question = path.indexOf("?");
  const pathname = question < 0 ? path : path.slice(0, question);
  const query = question < 0 ? "" : path.slice(question).replace(NON_ASCII, escaped);
  if (BAD_ESCAPE.test(pathname)) return refused("the path has %00 or an escape that is none");
  if (mode === "none") return pathname.replace(NON_ASCII, escaped) + query;
  const spelled = spelling(pathname, mode);
  if (AMBIGUOUS_DOTS.test(spelled)) {
    return refused("the path has dots that some servers would resolve and others not");
  }
  const resolved = resolveDots(spelled);
  return (mode === "base" ? resolved : resolved.replace(/\/{2,}/g, "/")) + query;
}

/** Escapes and slashes in one spelling. */
function spelling(pathname: string, mode: PathNormalisation): string {
  const escapes = pathname.replace(NON_ASCII, escaped).replace(ESCAPE, (whole, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : whole.toUpperCase();
  });
  const decoded = mode === "decode-and-merge-slashes" ? escapes.replace(/%2F|%5C/g, "/") : escapes;
  return decoded.replaceAll("\\", "/");
}

/** RFC 3986 5.2.4; above the root is the root. */
function resolveDots(pathname: string): string {
  if (!pathname.includes("/.")) return pathname;
  const kept: string[] = [];
  const segments = pathname.split("/").slice(1);
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment !== "." && segment !== "..") {
      kept.push(segment);
      continue;
    }
    if (segment === "..") kept.pop();
    if (last) kept.push("");
  }
  return `/${kept.join("/")}`;
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function refused(why: string): RefusedPath {
  return { refused: why };
}
