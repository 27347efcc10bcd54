/**
 * Istio's path templates: `{*}` is one segment, `{**}` the rest, of any length, up to what follows
 * it. Source: AuthorizationPolicy's Operation.paths, which is Envoy's uri_template with its
 * operators in braces.
 */

export interface PathTemplate {
  /** What every path that matches begins with. */
  readonly prefix: string;
  matches(path: string): boolean;
}

const ONE = "{*}";
const REST = "{**}";

/**
 * Undefined where it is not valid: an operator that is part of a segment, one after `{**}`, `*` or
 * a brace elsewhere, or no slash in front.
 */
export function parsePathTemplate(text: string): PathTemplate | undefined {
  if (!text.startsWith("/")) return undefined;
  const segments = text.slice(1).split("/");
  const rest = segments.indexOf(REST);
  const operators = segments.filter((segment) => segment === ONE || segment === REST);
  if (segments.some((s) => s !== ONE && s !== REST && /[{}*]/.test(s))) return undefined;
  if (rest >= 0 && segments.slice(rest + 1).some((s) => s === ONE || s === REST)) return undefined;
  if (operators.length === 0) return undefined;
  const first = segments.findIndex((segment) => segment === ONE || segment === REST);
  const prefix = `/${segments
    .slice(0, first)
    .map((segment) => `${segment}/`)
    .join("")}`;
  if (rest < 0) return { prefix, matches: (path) => matchesAll(segments, path) };
  const head = segments.slice(0, rest);
  const tail = segments.slice(rest + 1);
  const end = tail.length === 0 ? "" : `/${tail.join("/")}`;
  return { prefix, matches: (path) => matchesHead(head, end, path) };
}

function matchesAll(segments: readonly string[], path: string): boolean {
  const end = walk(segments, path);
  return end === path.length;
}

/** `end` has to come after the head's last slash. */
function matchesHead(head: readonly string[], end: string, path: string): boolean {
  const at = walk(head, path);
  if (at < 0 || path[at] !== "/") return false;
  return path.length - (at + 1) >= end.length && path.endsWith(end);
}

/** Where the segments end in the path; -1 where they do not fit. */
function walk(segments: readonly string[], path: string): number {
  let at = 0;
  for (const segment of segments) {
    if (path[at] !== "/") return -1;
    const next = path.indexOf("/", at + 1);
    const stop = next < 0 ? path.length : next;
    if (segment === ONE ? stop === at + 1 : path.slice(at + 1, stop) !== segment) return -1;
    at = stop;
  }
  return at;
}
