/** Requests on their way through the filters, for tests. */
import { makeIdentity } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";
import { compileRoutes } from "../route/compile.ts";
import type { Route } from "../route/route.ts";
import { CALLER, head, routes, rule } from "../route/route-fixtures.ts";
import type { Downstream, RequestContext } from "./stage.ts";

export const GATEWAY: GatewayConfig = {
  kind: "gateway",
  namespace: "shop",
  name: "waypoint",
  policies: { requestAuthentications: [], authorizations: [], rateLimits: [] },
  telemetry: {
    accessLog: { enabled: true, format: "text" },
    metrics: { enabled: true, removedLabels: [] },
  },
  forwardClientCert: false,
};

export function downstream(fields: Partial<Downstream> = {}): Downstream {
  const ip = parseIp("10.0.0.1");
  if (ip === undefined) throw new Error("not an address");
  return {
    peer: makeIdentity("cluster.local", "shop", "frontend"),
    sourceWorkload: undefined,
    source: { ip, port: 4711 },
    destination: { host: "10.96.0.1", port: 80 },
    service: undefined,
    port: undefined,
    workload: undefined,
    sni: undefined,
    ...fields,
  };
}

export function context(fields: Partial<RequestContext> = {}): RequestContext {
  return {
    downstream: downstream(),
    gateway: GATEWAY,
    head: head("/"),
    id: "id",
    tokens: [],
    responseHeaders: new HeaderList(),
    notes: [],
    signal: new AbortController().signal,
    ...fields,
  };
}

/** A rule compiled, as the route that `request` goes by. */
export function routeOf(fields: Partial<HttpRule>, request: RequestHead = head("/")): Route {
  const route = compileRoutes(routes([rule("r", fields)])).table.match(request, CALLER);
  if (route === undefined) throw new Error("the rule does not fit");
  return route;
}
