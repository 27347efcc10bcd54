/**
 * Which of several matches that hold decides, as one number per match: the smallest wins.
 *
 * Gateway API's HTTPRoute: an exact path; the longest prefix; a method; most headers; most query
 * parameters; then the order in the list. GRPCRoute's (longest service, longest method, most
 * headers) is the same order, for of the matches of one request an exact path names service and
 * method, a prefix the service, a regular expression the method. Where the specification leaves
 * open what a regular expression counts, it comes after prefixes, as in Istio, but before `/` and
 * before no path at all, which would otherwise hide it for good.
 */
import type { HttpMatch } from "#common/model/waypoint/http-route.ts";
import { TABLE_MATCHES } from "./limits.ts";

/** More of one kind count as this many: Gateway API allows 1,024 and 16. */
const MAX_LENGTH = 2 ** 12 - 1;
const MAX_COUNT = 2 ** 6 - 1;

/** `order`: the place of the match in its list, below TABLE_MATCHES. */
export function specificityKey(match: HttpMatch | undefined, order: number): number {
  const { kind, length } = pathRank(match?.path);
  let key = 3 - kind;
  key = key * (MAX_LENGTH + 1) + (MAX_LENGTH - Math.min(length, MAX_LENGTH));
  key = key * 2 + (match?.method === undefined ? 1 : 0);
  key = key * (MAX_COUNT + 1) + (MAX_COUNT - Math.min(match?.headers.length ?? 0, MAX_COUNT));
  key = key * (MAX_COUNT + 1) + (MAX_COUNT - Math.min(match?.queryParams.length ?? 0, MAX_COUNT));
  return key * TABLE_MATCHES + order;
}

/** The `order` that a key was made with. */
export function orderOf(key: number): number {
  return key % TABLE_MATCHES;
}

/** The greater kind wins, then the greater length. */
function pathRank(path: HttpMatch["path"]): { readonly kind: number; readonly length: number } {
  if (path === undefined) return { kind: 0, length: 0 };
  switch (path.kind) {
    case "exact":
      return { kind: 3, length: path.value.length };
    case "path-prefix":
    case "prefix": {
      const length = path.value.replace(/\/$/, "").length;
      return length === 0 ? { kind: 0, length: 0 } : { kind: 2, length };
    }
    case "regex":
      return { kind: 1, length: path.value.length };
  }
}
