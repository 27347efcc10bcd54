/** What the request handler is put together from. */
import type { HttpRoutes } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import type { LocalReply, Stage } from "../filter/stage.ts";
import type { RequestHead } from "../http/message.ts";
import type { RouteTable } from "../route/route-table.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { RequestSink } from "./request-record.ts";

export interface ProxyDependencies {
  /** Asked once per request. Undefined before the control plane has said anything. */
  readonly gateway: () => GatewayConfig | undefined;
  /**
   * The compiled rules of a port, immutable: a request keeps the table that it began with. The same
   * table for the same object. Undefined where they could not be compiled: answered with 500.
   */
  readonly routeTable: (routes: HttpRoutes) => Pick<RouteTable, "match" | "isConsumer"> | undefined;
  /** The request as every stage and the upstream are to see it, or why it is refused. */
  readonly normalise: (head: RequestHead) => RequestHead | LocalReply;
  /** In order, before the route. */
  readonly stages: readonly Stage[];
  readonly upstreams: Upstreams;
  readonly sink: RequestSink;
  /** The waypoint's own, a SPIFFE URI: for x-forwarded-client-cert. */
  readonly ownIdentity: () => string;
  /** x-request-id for a request that has none. */
  readonly newId: () => string;
  /** Resolves after that time, or at once when the signal is aborted; never rejects. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
