/**
 * Gives every request one spelling before anything looks at it: policies, routes and the upstream
 * see the same path, host and method. What has two readings is refused, so that nobody picks the
 * other one. `normalise` of what it returned changes nothing.
 */
import type { RequestHead } from "../http/message.ts";
import { normaliseAuthority } from "./normalise-authority.ts";
import { normalisePath, type PathNormalisation } from "./normalise-path.ts";
import type { LocalReply } from "./stage.ts";

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/;

/** The head itself where nothing is to be changed; else a new one, with the same headers. */
export function normaliseRequest(
  head: RequestHead,
  normalisation: PathNormalisation,
): RequestHead | LocalReply {
  if (!TOKEN.test(head.method)) return badRequest("the method is not a token of HTTP");
  // Codecs take the host out of the headers: what is left there is a second one.
  if (head.headers.has("host")) return badRequest("the request names two hosts");
  const authority = normaliseAuthority(head.authority, head.scheme, head.version);
  if (authority === undefined) return badRequest("the host is missing or malformed");
  const path = normaliseTarget(head, normalisation);
  if (typeof path !== "string") return badRequest(path.refused);
  if (authority === head.authority && path === head.path) return head;
  return { ...head, authority, path };
}

/** Whether a stage or filter answered instead of passing the request on. */
export function isReply(result: RequestHead | LocalReply): result is LocalReply {
  return "reason" in result;
}

function normaliseTarget(
  { method, path }: RequestHead,
  normalisation: PathNormalisation,
): ReturnType<typeof normalisePath> {
  if (path !== "*") return normalisePath(path, normalisation);
  return method === "OPTIONS" ? path : { refused: "the path * is for OPTIONS only" };
}

function badRequest(why: string): LocalReply {
  return { status: 400, reason: "bad-request", body: `bad request: ${why}`, detail: why };
}
