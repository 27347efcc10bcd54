/**
 * What carries HTTP over connections. There are several implementations of HTTP/1.1, one of HTTP/2;
 * none of them knows routes, policies or the mesh.
 */
import type { Duplex } from "node:stream";
import type { End } from "#common/transport/end.ts";
import type { ClientExchange, ClientExchangeEvents, ServerExchange } from "./exchange.ts";
import type { BodyLength, RequestHead } from "./message.ts";

/**
 * A connection's bytes, in whichever of the two forms a codec works with. Only one may be taken.
 */
export interface Wire {
  asDuplex(): Duplex;
  asEnd(): End;
  /**
   * Calls back once, when nothing new is to begin on it: what carries it goes away, or proves an
   * identity that has been renewed. What is under way goes on. The returned function ends that.
   */
  onRetired?(listener: () => void): () => void;
}

/** Defaults in waypoint/limits.ts. Milliseconds and bytes. */
export interface CodecLimits {
  readonly headerBytes: number;
  readonly headerCount: number;
  /** From the first byte of a request to the end of its header. */
  readonly headersTimeoutMs: number;
  /** Without a request under way. */
  readonly idleTimeoutMs: number;
  /** While a body is expected and none of it comes. */
  readonly bodyTimeoutMs: number;
  readonly requestsPerConnection: number;
  /** HTTP/1.1 requests that have come before the response to the first. */
  readonly pipelinedRequests: number;
  /** HTTP/2 streams at a time. */
  readonly concurrentStreams: number;
}

/** A client's connection that is being served. */
export interface ServerConnection {
  /** Finishes what is under way, then closes: `Connection: close`, GOAWAY. */
  drain(): void;
  destroy(): void;
}

export interface ServerHandlers {
  /** HTTP/1.1: in the order in which they came; responses leave in that order, too. */
  readonly onExchange: (exchange: ServerExchange) => void;
  /** The connection is over. `error`: what came was not HTTP (it has been answered with 400). */
  readonly onClosed: (error: Error | undefined) => void;
}

/** A connection to an upstream that requests can be sent on. */
export interface UpstreamConnection {
  /** Requests that fit at once: 1 for HTTP/1.1. */
  readonly capacity: number;
  readonly active: number;
  /** No further requests: it is closing, or has had as many as it may. */
  readonly exhausted: boolean;
  /**
   * `body` is `none` where no `write` follows. HTTP/1.1 throws MeshError when it is busy.
   */
  request(head: RequestHead, body: BodyLength, events: ClientExchangeEvents): ClientExchange;
  /** Closes when nothing is under way. */
  close(): void;
  destroy(): void;
}

export interface UpstreamHandlers {
  /** An exchange ended and another would fit, or it is exhausted now. */
  readonly onIdle: () => void;
  readonly onClosed: () => void;
}

export interface HttpCodec {
  readonly name: string;
  serve(wire: Wire, limits: CodecLimits, handlers: ServerHandlers): ServerConnection;
  connect(wire: Wire, limits: CodecLimits, handlers: UpstreamHandlers): UpstreamConnection;
}

/**
 * An engine for HTTP/1.1. `llhttp` is ours, on Node's own parser; `http-proxy` and `undici` are
 * those libraries with node:http towards the client.
 */
export type EngineName = "llhttp" | "http-proxy" | "undici";
export interface Forwarder extends HttpCodec {
  readonly name: EngineName;
}
