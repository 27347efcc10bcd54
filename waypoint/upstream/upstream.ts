/** Where requests go: endpoints of backends and connections to them. */
import type { SocketAddress } from "#common/model/ip.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { Workload } from "#common/model/workload.ts";
import type { Downstream, LocalReply, RequestContext } from "../filter/stage.ts";
import type { UpstreamConnection, Wire } from "../http/engine.ts";

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
  | { readonly kind: "local-failure"; readonly milliseconds: number }
  /** It ended before anything can be said of the endpoint: the client left. */
  | { readonly kind: "unused" };

/** A connection that has been leased for one request. */
export interface Lease {
  readonly endpoint: Endpoint;
  readonly connection: UpstreamConnection;
  /** Whether it has carried requests before: the other side may just be closing it. */
  readonly reused: boolean;
  /** To be called once, when the request on it is over or was never sent. */
  finished(outcome: AttemptOutcome): void;
}

/** Which HTTP is spoken with an upstream. */
export type UpstreamProtocol = "http1" | "http2";

/** What choosing an endpoint and a connection looks at, and where it leaves a cookie. */
export type LeaseContext = Pick<
  RequestContext,
  "downstream" | "head" | "responseHeaders" | "signal"
>;

export interface LeaseRequest {
  readonly backend: BackendRef;
  /** Where the request is for this workload itself: instead of the backend's endpoints. */
  readonly workload?: Workload;
  /** Its signal ends the wait for a connection. */
  readonly context: LeaseContext;
  /** What the client speaks; what the backend's port declares goes before it. */
  readonly protocol: UpstreamProtocol;
  /** Endpoints (workload UIDs) that earlier tries of this request used: taken only at need. */
  readonly exclude: ReadonlySet<string>;
}

/** Why there is no lease, and where a connection was tried, so that another try goes elsewhere. */
export interface LeaseRefusal extends LocalReply {
  readonly endpoint?: Endpoint;
}

/** Leave to try once more, given back when that try is over. */
export interface RetryPermit {
  release(): void;
}

export interface ConnectRequest {
  readonly backend: BackendRef;
  readonly workload?: Workload;
  readonly downstream: Downstream;
  readonly exclude: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** A connection of its own for bytes that are not HTTP. */
export interface WireLease {
  readonly endpoint: Endpoint;
  readonly wire: Wire;
  /** To be called once, when the connection is over. */
  finished(): void;
}

export interface Upstreams {
  /** A reply where there is no endpoint, no connection, or a bound is reached. */
  lease(request: LeaseRequest): Promise<Lease | LeaseRefusal>;
  connect(request: ConnectRequest): Promise<WireLease | LeaseRefusal>;
  /** Undefined where as many retries as may be are under way for the backend. */
  permitRetry(backend: BackendRef, workload?: Workload): RetryPermit | undefined;
}

export interface DialRequest {
  readonly endpoint: Endpoint;
  readonly backend: BackendRef;
  /** What holds for the backend's port or subset: TLS origination, PROXY protocol. */
  readonly policy: TrafficPolicy;
  /** What will be spoken: decides ALPN where TLS is originated. */
  readonly protocol: UpstreamProtocol | "tcp";
  /** Whose bytes it will carry, where they are one client's only. */
  readonly client?: SocketAddress;
  /** Aborted when it takes too long or nobody waits any more. */
  readonly signal: AbortSignal;
}

/** The dialer. A reply has the reason `upstream-connect-failure`. Never rejects. */
export type OpenWire = (request: DialRequest) => Promise<Wire | LocalReply>;
