/** What is known of a request when it is over: access log, metrics and traces are made of it. */
import type { BackendRef, Origin } from "#common/model/waypoint/http-route.ts";
import type { ReplyReason, RequestContext } from "../filter/stage.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { Endpoint } from "../upstream/upstream.ts";

/**
 * Source: Envoy's access log, RESPONSE_FLAGS. UH no healthy upstream, UF connection failure, UO
 * overflow, NR no route, URX retries exhausted, DC client left, UC upstream connection ended, UR
 * upstream reset, UT timeout, UPE upstream protocol error, UAEX external authorization, RL rate
 * limited, RLSE rate limit service error, DI delay injected, FI fault injected, DPE client protocol
 * error, OM limit of the proxy itself, NC no such backend.
 */
export type ResponseFlag =
  | "UH"
  | "UF"
  | "UO"
  | "NR"
  | "URX"
  | "DC"
  | "UC"
  | "UR"
  | "UT"
  | "UPE"
  | "UAEX"
  | "RL"
  | "RLSE"
  | "DI"
  | "FI"
  | "DPE"
  | "OM"
  | "NC";

/** Bodies without framing, as the client sent and got them. */
export interface RequestRecord {
  /** Who, what, tokens, notes. `head` is what the client asked for, after normalisation. */
  readonly context: RequestContext;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** 0: the client left before there was one. */
  readonly status: number;
  /** Of a gRPC response, from its trailers or header. */
  readonly grpcStatus: number | undefined;
  /** Of the response as the client got it; undefined where there was none. */
  readonly responseHeaders: HeaderList | undefined;
  readonly flags: readonly ResponseFlag[];
  /** Undefined: the upstream's own answer arrived whole. */
  readonly reason: ReplyReason | undefined;
  readonly detail: string | undefined;
  readonly route: Origin | undefined;
  readonly backend: BackendRef | undefined;
  /** Of the last try that got as far. */
  readonly endpoint: Endpoint | undefined;
  /** Tries that were begun; 0 where the request went nowhere. */
  readonly attempts: number;
  /** From sending the request of the last try to the head of its response. */
  readonly upstreamMs: number | undefined;
  /** Whether it became a tunnel (WebSocket). */
  readonly upgraded: boolean;
}

/** Must not throw and must be quick: it is called on the request's path. */
export type RequestSink = (record: RequestRecord) => void;
