/** Routes and requests for tests. */
import type { HttpMatch, HttpRoutes, HttpRule } from "#common/model/waypoint/http-route.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import type { Caller } from "./request-view.ts";

export function match(fields: Partial<HttpMatch> = {}): HttpMatch {
  return { headers: [], queryParams: [], sourceNamespaces: [], ...fields };
}

/** The rule's `ruleName` is what tests tell rules apart by. */
export function rule(ruleName: string, fields: Partial<HttpRule> = {}): HttpRule {
  return {
    origin: { kind: "HTTPRoute", namespace: "shop", name: "r", rule: 0, ruleName },
    matches: [],
    mirrors: [],
    backends: [],
    ...fields,
  };
}

export function routes(
  rules: readonly HttpRule[],
  precedence: HttpRoutes["precedence"] = "specificity",
): HttpRoutes {
  return { precedence, rules };
}

export function head(
  path: string,
  headers: Readonly<Record<string, string>> = {},
  fields: Partial<RequestHead> = {},
): RequestHead {
  return {
    version: "1.1",
    method: "GET",
    scheme: "http",
    authority: "web.shop",
    path,
    headers: new HeaderList(Object.entries(headers).flat()),
    ...fields,
  };
}

export const CALLER: Caller = { namespace: "shop", workload: "Kubernetes//Pod/shop/client" };
