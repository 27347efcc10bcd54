/** What the request handler is put together from. */
import type { HttpMatch, HttpRoutes, HttpRule } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { LocalReply, Stage } from "../filter/stage.ts";
import type { RequestHead } from "../http/message.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { RequestSink } from "./request-record.ts";

/** One way for requests, compiled. */
export interface Route {
  readonly rule: HttpRule;
  /** Absent where the rule has no matches and is for every request. */
  readonly match: HttpMatch | undefined;
}

/** Who asks, for what routes may look at. */
export interface RouteCaller {
  readonly namespace: string;
  /** UID of the workload; absent where it is not known. */
  readonly workload: string | undefined;
}

/** The compiled rules of one port; immutable, so a request keeps the one that it began with. */
export interface RouteTable {
  match(head: RequestHead, caller: RouteCaller): Route | undefined;
}

export interface ProxyDependencies {
  /** Asked once per request. Undefined before the control plane has said anything. */
  readonly gateway: () => GatewayConfig | undefined;
  /** The same table for the same object. */
  readonly routeTable: (routes: HttpRoutes) => RouteTable;
  /** The request as every stage and the upstream are to see it, or why it is refused. */
  readonly normalise: (head: RequestHead) => RequestHead | LocalReply;
  /** In order, before the route. */
  readonly stages: readonly Stage[];
  readonly upstreams: Upstreams;
  readonly sink: RequestSink;
  /** x-request-id for a request that has none. */
  readonly newId: () => string;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
