/** From a request that passed the stages to what is to become of it. */

import type { Origin } from "#common/model/waypoint/http-route.ts";
import { preflightReply, setCorsHeaders } from "../filter/cors.ts";
import { directReply } from "../filter/direct-response.ts";
import { modifyHeaders } from "../filter/header-modifier.ts";
import { redirectReply } from "../filter/redirect.ts";
import { rewriteRequest } from "../filter/rewrite.ts";
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../http/message.ts";
import type { Route } from "../route/route.ts";
import { type ChosenBackend, chooseBackend } from "./choose-backend.ts";
import type { ProxyDependencies } from "./dependencies.ts";
import type { ForwardPlan } from "./forward-plan.ts";
import { DEFAULT_RETRY } from "./retry-policy.ts";

type Dependencies = Pick<ProxyDependencies, "routeTable" | "random">;

/** Undefined: there are no routes for the caller, and the request goes to where it was sent. */
export function routeOf(
  { head, downstream }: RequestContext,
  { routeTable }: Dependencies,
): Route | LocalReply | undefined {
  const routes = downstream.port?.http;
  if (routes === undefined) return undefined;
  const table = routeTable(routes);
  if (table === undefined) return INVALID_ROUTES;
  const caller = {
    namespace: downstream.peer.namespace,
    workload: downstream.sourceWorkload?.uid,
  };
  const route = table.match(head, caller);
  if (route !== undefined) return route;
  const isFree = routes.onlyConsumers === true && !table.isConsumer(caller.namespace);
  return isFree ? undefined : NO_ROUTE;
}

/** Says which rule would take a request. */
export interface Router {
  readonly ruleOf: (context: RequestContext) => Origin | undefined;
}

export function createRouter(deps: Dependencies): Router {
  return {
    ruleOf: (context) => {
      const found = routeOf(context, deps);
      return found === undefined || "reason" in found ? undefined : found.rule.origin;
    },
  };
}

/** What the route answers itself. */
export function routeReply({ head, downstream }: RequestContext, route: Route) {
  const { rule } = route;
  if (rule.redirect !== undefined) return redirectReply(head, route, downstream.destination.port);
  if (rule.directResponse !== undefined) return directReply(route);
  return rule.cors === undefined ? undefined : preflightReply(head, route);
}

/** To the destination itself. */
export function planDirect(
  context: RequestContext,
  bodyLength: BodyLength,
): ForwardPlan | LocalReply {
  const { service, workload, destination } = context.downstream;
  const { port } = destination;
  if (service !== undefined) {
    const { namespace, hostname } = service;
    const backend = { namespace, hostname, port };
    return { ...DIRECT, backend, head: context.head, bodyLength, prepareResponse: noChange };
  }
  if (workload === undefined) return NO_ROUTE;
  // As the upstreams know it: a workload that was asked for itself has no host name.
  const backend = { namespace: workload.namespace, hostname: "", port };
  const head = context.head;
  return { ...DIRECT, backend, workload, head, bodyLength, prepareResponse: noChange };
}

/** To one of the route's backends. */
export function planRoute(
  context: RequestContext,
  route: Route,
  bodyLength: BodyLength,
  { random }: Dependencies,
): ForwardPlan | LocalReply {
  const { rule } = route;
  const chosen = chooseBackend(rule.backends, random);
  if ("reason" in chosen) return chosen;
  const head = outgoingHead(context, route, chosen);
  if ("reason" in head) return head;
  const { retry, timeoutMs = 0 } = rule;
  return {
    backend: chosen.backend,
    head,
    bodyLength,
    retry: retry === undefined ? DEFAULT_RETRY : { retry, explicit: true },
    timeoutMs,
    mirrors: rule.mirrors,
    prepareResponse: responsePreparer(context, route, chosen),
  };
}

/** A copy where anything is changed: the log shows what the client asked for. */
function outgoingHead(
  { head }: RequestContext,
  route: Route,
  chosen: ChosenBackend,
): RequestHead | LocalReply {
  const rewritten = rewriteRequest(head, route);
  const { requestHeaders } = route.rule;
  if ("reason" in rewritten) return rewritten;
  if (requestHeaders === undefined && chosen.requestHeaders === undefined) return rewritten;
  const headers = rewritten.headers.clone();
  modifyHeaders(headers, requestHeaders);
  modifyHeaders(headers, chosen.requestHeaders);
  return { ...rewritten, headers };
}

function responsePreparer(
  { head: request }: RequestContext,
  route: Route,
  chosen: ChosenBackend,
): (head: ResponseHead) => void {
  const { responseHeaders, cors } = route.rule;
  const own = chosen.responseHeaders;
  if (responseHeaders === undefined && own === undefined && cors === undefined) return noChange;
  return ({ headers }) => {
    modifyHeaders(headers, own);
    modifyHeaders(headers, responseHeaders);
    if (cors !== undefined) setCorsHeaders(request, route, headers);
  };
}

function noChange(): void {
  return;
}

const DIRECT = { retry: DEFAULT_RETRY, timeoutMs: 0, mirrors: [] } as const;

const NO_ROUTE: LocalReply = {
  status: 404,
  reason: "no-route",
  body: "no route for this request",
};

const INVALID_ROUTES: LocalReply = {
  status: 500,
  reason: "invalid-backend",
  body: "the routes of this port are not valid",
};
