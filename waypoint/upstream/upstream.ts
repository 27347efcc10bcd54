/** Where requests go: endpoints of backends and connections to them. */
import type { SocketAddress } from "#common/model/ip.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import type { UpstreamConnection } from "../http/engine.ts";

/** One endpoint of a backend. */
export interface Endpoint {
  readonly workload: Workload;
  /** Of the application. */
  readonly address: SocketAddress;
  /** How the application is reached: HBONE to its node, or as it is. */
  readonly transport: "hbone" | "plaintext";
}

/** What became of a try, for load balancing and outlier detection. */
export type AttemptOutcome =
  | { readonly kind: "response"; readonly status: number; readonly milliseconds: number }
  | { readonly kind: "local-failure"; readonly milliseconds: number };

/** A connection that has been leased for one request. */
export interface Lease {
  readonly endpoint: Endpoint;
  readonly connection: UpstreamConnection;
  /** To be called once, when the request on it is over or was never sent. */
  finished(outcome: AttemptOutcome): void;
}

export interface LeaseRequest {
  readonly backend: BackendRef;
  readonly context: RequestContext;
  /** Which HTTP the upstream speaks for this request. */
  readonly protocol: "http1" | "http2";
  /** Endpoints (workload UIDs) that earlier tries of this request used. */
  readonly exclude: ReadonlySet<string>;
}

export interface Upstreams {
  /** A reply where there is no endpoint, no connection, or a bound is reached. */
  lease(request: LeaseRequest): Promise<Lease | LocalReply>;
}
