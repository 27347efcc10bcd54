/** The request as a route wants it to reach the upstream: another host, another path. */
import type { RequestHead } from "../http/message.ts";
import type { Route } from "../route/route.ts";
import { normaliseAuthority } from "./normalise-authority.ts";
import type { LocalReply } from "./stage.ts";

/** What nobody could have meant to forward. */
const MALFORMED = /[\0-\x20\x7f#]/;

/**
 * The head itself where nothing is rewritten. A rewrite that cannot be done is answered with 500:
 * the request as it came was not meant for the upstream. `x-envoy-original-path` is not set, for
 * upstreams see no header that a client could have made up.
 */
export function rewriteRequest(head: RequestHead, route: Route): RequestHead | LocalReply {
  const { rewrite } = route.rule;
  if (rewrite === undefined) return head;
  const path = rewritten(head.path, route.rewritePath);
  const authority =
    rewrite.authority === undefined
      ? head.authority
      : normaliseAuthority(rewrite.authority, head.scheme, "1.1");
  if (path !== undefined && authority !== undefined) return { ...head, path, authority };
  const { kind, namespace, name, rule } = route.rule.origin;
  return {
    status: 500,
    reason: "invalid-backend",
    body: "the route rewrites the request in a way that cannot be done",
    detail: `${kind} ${namespace}/${name} rule ${rule}: invalid rewrite`,
  };
}

function rewritten(path: string, rewriter: Route["rewritePath"]): string | undefined {
  if (rewriter === undefined) return path;
  const result = rewriter === "invalid" ? undefined : rewriter(path);
  return result === undefined || MALFORMED.test(result) ? undefined : result;
}
