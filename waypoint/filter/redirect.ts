/** Sends the client elsewhere. */
import type { RequestHead } from "../http/message.ts";
import type { Route } from "../route/route.ts";
import type { LocalReply } from "./stage.ts";

/**
 * Undefined where the route does not redirect. `listenerPort`: the port of the service, which the
 * location gets where the route names neither scheme nor port. Source: Gateway API,
 * HTTPRequestRedirectFilter.
 */
export function redirectReply(
  head: RequestHead,
  route: Route,
  listenerPort: number,
): LocalReply | undefined {
  const { redirect } = route.rule;
  if (redirect === undefined) return undefined;
  const { redirectPath } = route;
  if (redirectPath === "invalid") {
    return { status: 500, reason: "invalid-backend", body: "the route's redirect is invalid" };
  }
  const scheme = redirect.scheme ?? head.scheme;
  const host = redirect.hostname ?? head.authority.replace(/:\d*$/, "");
  const implied = scheme === "https" ? 443 : 80;
  const port = redirect.port ?? (redirect.scheme === undefined ? listenerPort : implied);
  const path = head.path === "*" ? "/" : (redirectPath?.(head.path) ?? head.path);
  const location = `${scheme}://${host}${port === implied ? "" : `:${port}`}${path}`;
  return {
    status: redirect.status,
    reason: "redirect",
    body: "",
    headers: [["location", location]],
  };
}
