/**
 * Routes of a client's namespace are for the clients there; for everybody else what the next
 * contributor says of the service stays in force.
 */
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import type { RouteContributor } from "./contributions.ts";

type PortRoutes = Pick<PortConfig, "http" | "tls" | "tcp">;

/** `first`, with the rules of `rest` for those whom it says nothing of. */
export function consumersFirst(first: RouteContributor, rest: RouteContributor): RouteContributor {
  return {
    apply: (change, mesh) => first.apply(change, mesh),
    takeStatuses: (mesh) => first.takeStatuses(mesh),
    routesOf: (...asked) => {
      const routes = first.routesOf(...asked);
      if (routes === undefined || isForEverybody(routes)) return routes;
      return merged(routes, rest.routesOf(...asked) ?? {});
    },
  };
}

/** Whether they leave nobody to other routes. */
export function isForEverybody(routes: PortRoutes | undefined): boolean {
  const { http, tls = [], tcp = [] } = routes ?? {};
  if (http !== undefined && http.onlyConsumers !== true) return true;
  return [...tls, ...tcp].some(({ consumerNamespace }) => consumerNamespace === undefined);
}

function merged(consumers: PortRoutes, rest: PortRoutes): PortRoutes {
  const http = mergedHttp(consumers.http, rest.http);
  const tls = [...(consumers.tls ?? []), ...(rest.tls ?? [])];
  const tcp = [...(consumers.tcp ?? []), ...(rest.tcp ?? [])];
  return {
    ...(http && { http }),
    ...(tls.length > 0 && { tls }),
    ...(tcp.length > 0 && { tcp }),
  };
}

function mergedHttp(consumers: PortRoutes["http"], rest: PortRoutes["http"]): PortRoutes["http"] {
  if (consumers === undefined || rest === undefined) return consumers ?? rest;
  return { ...rest, rules: [...consumers.rules, ...rest.rules] };
}
