/**
 * CONNECT at a waypoint: who asks for what is found out, then what it speaks, and whoever carries
 * that takes over. HTTP is answered 200 at once, for its own answers say the rest; bytes only when
 * there is somebody to take them.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { answerConnect } from "#common/transport/connect-answer.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { HboneEnd, type HboneEndContext } from "#common/transport/hbone-end.ts";
import type { TunnelPeer } from "#common/transport/hbone-sessions.ts";
import type { Downstream } from "../filter/stage.ts";
import type { ServerConnection, Wire } from "../http/engine.ts";
import { CLIENT_CONNECTIONS, FIRST_BYTE_MS } from "../limits.ts";
import type { CarryTcp } from "../tcp/tcp-proxy.ts";
import { EndWire } from "../upstream/end-wire.ts";
import type { Connections } from "./connections.ts";
import { detectProtocol, type Protocol } from "./detect-protocol.ts";
import { type DownstreamContext, describeDownstream } from "./downstream.ts";
import { LiveDownstream } from "./live-downstream.ts";
import { PeekedEnd } from "./peeked-end.ts";

/** A client's connection that carries HTTP. */
export interface HttpClient {
  readonly wire: Wire;
  readonly version: "http1" | "http2";
  /** What was asked for, as it is configured now: to be asked once per request. */
  readonly downstream: () => Downstream;
  /** Called once, when the connection is over. */
  readonly onClosed: () => void;
}

export type ServeHttp = (client: HttpClient) => ServerConnection;

/** Who asked for what and was refused, as far as it is known. */
export type OnRefused = (
  why: ConnectionFailure,
  peer: TunnelPeer,
  asked: Downstream | string,
) => void;

export interface ConnectHandlerDeps {
  readonly downstream: DownstreamContext;
  readonly ends: HboneEndContext;
  readonly connections: Connections;
  readonly serveHttp: ServeHttp;
  readonly carryTcp: CarryTcp;
  readonly onRefused: OnRefused;
  /** How long a client of a port whose protocol is not declared is waited for. */
  readonly protocolDetectionMs: number;
}

/** Istio ztunnel's answers (ambient.md 2.1), and 404 for what is not of this waypoint. */
const STATUS: Partial<Record<ConnectionFailure["reason"], number>> = {
  "bad-request": 400,
  "unknown-destination": 404,
  "explicit-deny": 401,
  "no-allow-matched": 401,
};

export class ConnectHandler {
  readonly #deps: ConnectHandlerDeps;

  constructor(deps: ConnectHandlerDeps) {
    this.#deps = deps;
  }

  /** Takes a stream over; resolves when somebody serves it, or nobody will. */
  async handle(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: TunnelPeer,
  ): Promise<void> {
    const end = new HboneEnd(stream, this.#deps.ends, peer.alive);
    const downstream = this.#admit(headers, peer);
    if ("ok" in downstream) {
      answerConnect(stream, STATUS[downstream.reason] ?? 503, undefined);
      this.#deps.onRefused(downstream, peer, headers[":authority"] ?? "");
      return;
    }
    if (downstream.port?.protocol === "tcp") {
      await this.#deps.carryTcp({
        end,
        downstream,
        accept: () => answerConnect(stream, 200, undefined),
        refuse: (why) => answerConnect(stream, STATUS[why.reason] ?? 503, undefined),
        gone: whenClosed(stream),
      });
      return;
    }
    answerConnect(stream, 200, undefined);
    await this.#serveDetected(new PeekedEnd(end), downstream, whenClosed(stream));
  }

  #admit(headers: IncomingHttpHeaders, peer: TunnelPeer): Downstream | ConnectionFailure {
    const { connections, downstream } = this.#deps;
    if (downstream.store.current.gateway === undefined) {
      return failure("unknown-waypoint", "this waypoint has not heard of its Gateway yet");
    }
    if (headers[":method"] !== "CONNECT") {
      return failure("bad-request", `HBONE takes CONNECT only, not ${headers[":method"]}`);
    }
    if (connections.size > CLIENT_CONNECTIONS) {
      const message = `${CLIENT_CONNECTIONS} connections stand already`;
      return limitReached("connections-per-worker", message);
    }
    const { ":authority": authority = "", forwarded } = headers;
    return describeDownstream(downstream, { authority, forwarded }, peer);
  }

  async #serveDetected(end: PeekedEnd, downstream: Downstream, gone: AbortSignal): Promise<void> {
    const declared = downstream.port?.protocol ?? "auto";
    const timeoutMs = declared === "auto" ? this.#deps.protocolDetectionMs : FIRST_BYTE_MS;
    const judge = (bytes: Uint8Array, over: boolean): Protocol | undefined =>
      detectProtocol(declared, bytes, over);
    const protocol = await end.peek(judge, timeoutMs);
    if (protocol === undefined || end.closed) {
      end.reset();
      return;
    }
    if (protocol.kind === "http1" || protocol.kind === "http2") {
      this.#serveHttp(end, downstream, protocol.kind);
      return;
    }
    const sni = protocol.kind === "tls" ? protocol.sni : undefined;
    await this.#deps.carryTcp({
      end,
      downstream: { ...downstream, sni },
      accept: () => undefined,
      refuse: () => end.reset(),
      gone,
    });
  }

  #serveHttp(end: PeekedEnd, first: Downstream, version: "http1" | "http2"): void {
    const { connections, downstream: context, serveHttp } = this.#deps;
    let connection: ServerConnection | undefined;
    let closed = false;
    const live = new LiveDownstream(context, first, () => connection?.drain());
    connection = serveHttp({
      wire: new EndWire(end),
      version,
      downstream: () => live.current(),
      onClosed: () => {
        closed = true;
        if (connection !== undefined) connections.delete(connection);
      },
    });
    if (!closed) connections.add(connection);
  }
}

/** Aborted when the client has left. */
function whenClosed(stream: ServerHttp2Stream): AbortSignal {
  const controller = new AbortController();
  if (stream.closed) controller.abort();
  else stream.once("close", () => controller.abort());
  return controller.signal;
}
