/**
 * Cross-origin requests: answers a browser's preflight, and tells it what it may do with the
 * response. Source: the Fetch standard; Istio's CorsPolicy and Gateway API's HTTPCORSFilter.
 */
import type { cors } from "#common/model/waypoint/http-route.ts";
import type { Of } from "#common/model/waypoint/shape.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import type { Route } from "../route/route.ts";
import type { LocalReply } from "./stage.ts";

type Cors = Of<typeof cors>;

/**
 * The answer to a preflight from an origin that the route allows. Undefined for everything else:
 * what is not allowed goes to the upstream as Envoy does it, and the browser finds no permission in
 * its answer, unless the application itself gives one.
 */
export function preflightReply(head: RequestHead, route: Route): LocalReply | undefined {
  const policy = route.rule.cors;
  if (policy === undefined || head.method !== "OPTIONS") return undefined;
  const method = head.headers.get("access-control-request-method");
  const origin = allowedOrigin(head, route);
  if (method === undefined || origin === undefined) return undefined;
  const wanted = head.headers.combined("access-control-request-headers");
  const headers: (readonly [string, string])[] = [
    ["access-control-allow-origin", origin],
    ...given("access-control-allow-credentials", policy.allowCredentials ? "true" : ""),
    ...given("access-control-allow-methods", listed(policy.allowMethods, method, policy)),
    ...given("access-control-allow-headers", listed(policy.allowHeaders, wanted ?? "", policy)),
    ...given("access-control-max-age", `${policy.maxAgeSeconds ?? ""}`),
    ["vary", "origin"],
  ];
  return { status: 200, reason: "cors-preflight", body: "", headers };
}

/** Sets what a browser asks of the response of a cross-origin request; else touches nothing. */
export function setCorsHeaders(head: RequestHead, route: Route, response: HeaderList): void {
  const policy = route.rule.cors;
  const origin = policy && allowedOrigin(head, route);
  if (policy === undefined || origin === undefined) return;
  response.set("access-control-allow-origin", origin);
  if (policy.allowCredentials) response.set("access-control-allow-credentials", "true");
  if (policy.exposeHeaders.length > 0) {
    response.set("access-control-expose-headers", policy.exposeHeaders.join(","));
  }
  const vary = response.combined("vary");
  if (vary === undefined) response.set("vary", "origin");
  else if (!/(^|,)\s*(origin|\*)\s*(,|$)/i.test(vary)) response.append("vary", "origin");
}

/** The client's, never `*`: a wildcard would not do for requests with credentials. */
function allowedOrigin(head: RequestHead, route: Route): string | undefined {
  const [origin, ...more] = head.headers.getAll("origin");
  if (origin === undefined || origin === "" || more.length > 0) return undefined;
  const anyOrigin = route.rule.cors?.allowOrigins.some(
    ({ kind, value }) => kind === "exact" && value === "*",
  );
  return anyOrigin || route.originTests.some((test) => test(origin)) ? origin : undefined;
}

/** `*` counts as a name for requests with credentials: they get what they asked for instead. */
function listed(names: readonly string[], wanted: string, { allowCredentials }: Cors): string {
  return names.includes("*") && allowCredentials ? wanted : names.join(",");
}

function given(name: string, value: string): readonly (readonly [string, string])[] {
  return value === "" ? [] : [[name, value]];
}
