/** Takes every request of every connection. */
import { randomUUID } from "node:crypto";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import { setForwardedHeaders } from "../filter/forwarded-headers.ts";
import type { Downstream, LocalReply } from "../filter/stage.ts";
import type { ServerExchange } from "../http/exchange.ts";
import type { ProxyDependencies } from "./dependencies.ts";
import { ACTIVE_REQUESTS } from "./limits.ts";
import { Mirrors } from "./mirror.ts";
import { type IncomingRequest, RequestRun, type RunDependencies } from "./request-run.ts";
import { createRouter } from "./route-plan.ts";

/**
 * `downstream` is read once per request, so that a change of configuration holds from the next
 * request on, on connections that are open already, too.
 */
export type RequestHandler = (downstream: Downstream, exchange: ServerExchange) => void;

export interface RequestHandling {
  readonly handle: RequestHandler;
  /** Requests under way. */
  readonly active: () => number;
}

export function createRequestHandling(deps: ProxyDependencies): RequestHandling {
  const shared: RunDependencies = {
    ...deps,
    mirrors: new Mirrors(deps),
    router: createRouter(deps),
  };
  let active = 0;
  const over = (): void => {
    active--;
  };
  const handle: RequestHandler = (downstream, exchange) => {
    active++;
    const gateway = deps.gateway() ?? UNKNOWN_GATEWAY;
    const normalised = deps.normalise(exchange.request);
    const malformed = "reason" in normalised;
    const head = malformed ? exchange.request : normalised;
    const { newId } = deps;
    const facts = { downstream, gateway, ownIdentity: deps.ownIdentity(), newId };
    const id = setForwardedHeaders(head, facts);
    const request: IncomingRequest = { gateway, downstream, exchange, head, id };
    const run = new RequestRun(shared, request, over);
    if (malformed) run.refuse(normalised);
    else if (gateway === UNKNOWN_GATEWAY) run.refuse(NOT_CONFIGURED);
    else if (active > ACTIVE_REQUESTS) run.refuse(TOO_MANY);
    else run.begin();
  };
  return { handle, active: () => active };
}

/** For `ProxyDependencies.newId`. */
export function newRequestId(): string {
  return randomUUID();
}

/** What a request is logged under that came before any configuration. */
const UNKNOWN_GATEWAY: GatewayConfig = {
  kind: "gateway",
  namespace: "",
  name: "",
  policies: { requestAuthentications: [], authorizations: [], rateLimits: [] },
  telemetry: {
    accessLog: { enabled: true, format: "text" },
    metrics: { enabled: true, removedLabels: [] },
  },
  forwardClientCert: false,
};

const NOT_CONFIGURED: LocalReply = {
  status: 503,
  reason: "internal-error",
  body: "the waypoint has no configuration yet",
  detail: "nothing has come from istiod-lite",
};

const TOO_MANY: LocalReply = {
  status: 503,
  reason: "limit-reached",
  body: "the waypoint has too many requests under way",
};
