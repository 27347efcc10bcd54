/**
 * The stages that a request passes before it leaves, in this order: normalise, JWT, authorization,
 * external authorization, rate limit, route, fault. Each is a function of this one signature.
 */
import type { Identity } from "#common/model/identity.ts";
import type { SocketAddress } from "#common/model/ip.ts";
import type { Origin } from "#common/model/waypoint/http-route.ts";
import type { GatewayConfig, PortConfig, ServiceConfig } from "#common/model/waypoint/resource.ts";
import type { Workload } from "#common/model/workload.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/message.ts";

/** What a waypoint knows of a client's connection: the CONNECT stream. */
export interface Downstream {
  /** By its certificate: the only thing about the caller that cannot be made up. */
  readonly peer: Identity;
  /** Who the mesh says has the source address, if that agrees with `peer`. */
  readonly sourceWorkload: Workload | undefined;
  /** The application's: `forwarded` of a ztunnel, else the connection's own. */
  readonly source: SocketAddress;
  /** What was asked for: the authority of CONNECT. */
  readonly destination: { readonly host: string; readonly port: number };
  /** The service that `destination` is; absent for a workload. */
  readonly service: ServiceConfig | undefined;
  readonly port: PortConfig | undefined;
  /** The workload that `destination` is, where it is no service. */
  readonly workload: Workload | undefined;
  /** Of a TLS client hello. */
  readonly sni: string | undefined;
}

/** Claims of a verified token. */
export interface VerifiedToken {
  readonly issuer: string;
  /** `<iss>/<sub>`, Istio's request principal. */
  readonly principal: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The beginning of a request's body, read ahead of time and not taken from the upstream. */
export interface PeekedBody {
  readonly bytes: Uint8Array;
  /** Whether it is all of it. */
  readonly complete: boolean;
}

/** One request on its way through the stages. */
export interface RequestContext {
  readonly downstream: Downstream;
  readonly gateway: GatewayConfig;
  /** After normalisation: the same for every stage and for the upstream. */
  readonly head: RequestHead;
  /** x-request-id. */
  readonly id: string;
  readonly tokens: VerifiedToken[];
  /** Set on the response, whoever gives it. */
  readonly responseHeaders: HeaderList;
  /** Of policies in dry run or AUDIT, for the log and metrics. */
  readonly notes: string[];
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  /**
   * Waits for the body, or for `maxBytes` of it. Absent where bodies cannot be read ahead: a stage
   * that needs one then refuses. Rejects when the client has gone.
   */
  readonly peekBody?: (maxBytes: number) => Promise<PeekedBody>;
  /**
   * The rule that would take the request as it is now; undefined where none does. Absent where
   * requests are not routed.
   */
  readonly routeOrigin?: () => Origin | undefined;
}

/**
 * Why the waypoint answered itself or an upstream's answer was lost: `response_code_details` of the
 * access log. docs/waypoint-answers.md says of each what it means and what to do.
 */
export const REPLY_REASONS = [
  "bad-request",
  "jwt-missing",
  "jwt-invalid",
  "jwks-unavailable",
  "denied-by-policy",
  "no-allow-matched",
  "external-authorization-denied",
  "external-authorization-error",
  "rate-limited",
  "rate-limit-error",
  "no-route",
  "invalid-backend",
  "direct-response",
  "redirect",
  "cors-preflight",
  "fault-abort",
  "no-healthy-upstream",
  "upstream-connect-failure",
  "upstream-reset",
  "upstream-protocol-error",
  "upstream-overflow",
  "retry-limit",
  "request-timeout",
  "upstream-timeout",
  "limit-reached",
  "client-left",
  "internal-error",
  "draining",
] as const;
export type ReplyReason = (typeof REPLY_REASONS)[number];

/** An answer of our own. gRPC requests get it as grpc-status with HTTP status 200. */
export interface LocalReply {
  readonly status: number;
  readonly reason: ReplyReason;
  /** Plain text, ends up in `grpc-message` for gRPC. */
  readonly body: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** What decided: `shop/deny-debug rule 0`. For the log, never for the client. */
  readonly detail?: string;
  readonly grpcStatus?: number;
}

/** Undefined: the request goes on. */
export type StageResult = LocalReply | undefined;
export type Stage = (context: RequestContext) => StageResult | Promise<StageResult>;
