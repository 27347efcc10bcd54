/** From a request that passed the stages to what is to become of it. */
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import type { BodyLength } from "../http/message.ts";
import { chooseBackend } from "./choose-backend.ts";
import type { ProxyDependencies, Route } from "./dependencies.ts";
import type { ForwardPlan } from "./forward-plan.ts";
import { DEFAULT_RETRY } from "./retry-policy.ts";

type Dependencies = Pick<ProxyDependencies, "routeTable" | "random">;

/** Undefined: there are no routes, and the request goes to where it was sent. */
export function routeOf(
  { head, downstream }: RequestContext,
  { routeTable }: Dependencies,
): Route | LocalReply | undefined {
  const routes = downstream.port?.http;
  if (routes === undefined) return undefined;
  const caller = {
    namespace: downstream.peer.namespace,
    workload: downstream.sourceWorkload?.uid,
  };
  return routeTable(routes).match(head, caller) ?? NO_ROUTE;
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
    return { ...DIRECT, backend: { namespace, hostname, port }, head: context.head, bodyLength };
  }
  if (workload === undefined) return NO_ROUTE;
  const { namespace, name: hostname } = workload;
  const backend = { namespace, hostname, port };
  return { ...DIRECT, backend, workload, head: context.head, bodyLength };
}

export function planRoute(
  context: RequestContext,
  { rule }: Route,
  bodyLength: BodyLength,
  { random }: Dependencies,
): ForwardPlan | LocalReply {
  const chosen = chooseBackend(rule.backends, random);
  if ("reason" in chosen) return chosen;
  const { retry, timeoutMs = 0 } = rule;
  return {
    backend: chosen.backend,
    head: context.head,
    bodyLength,
    retry: retry === undefined ? DEFAULT_RETRY : { retry, explicit: true },
    timeoutMs,
    prepareResponse: () => undefined,
  };
}

const DIRECT = { retry: DEFAULT_RETRY, timeoutMs: 0, prepareResponse: () => undefined } as const;

const NO_ROUTE: LocalReply = {
  status: 404,
  reason: "no-route",
  body: "no route for this request\n",
};
