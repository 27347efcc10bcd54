/**
 * CONNECT at a waypoint: who asks for what is found out, then what it speaks, and whoever carries
 * that takes over. HTTP is answered 200 at once, for its own answers say the rest; bytes only when
 * there is somebody to take them.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { answerConnect } from "#common/transport/connect-answer.ts";
import type { End } from "#common/transport/end.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { HboneEnd, type HboneEndContext } from "#common/transport/hbone-end.ts";
import type { TunnelPeer } from "#common/transport/hbone-sessions.ts";
import { type Judge, PeekedEnd } from "#common/transport/peeked-end.ts";
import type { Downstream } from "../filter/stage.ts";
import type { ServerConnection, Wire } from "../http/engine.ts";
import { CLIENT_CONNECTIONS, DRAIN_NOTICE_MS, FIRST_BYTE_MS, LATE_WORD_MS } from "../limits.ts";
import type { CarryTcp, TcpClient } from "../tcp/tcp-proxy.ts";
import { EndWire } from "../upstream/end-wire.ts";
import type { Connections } from "./connections.ts";
import { type Declared, detectProtocol, isServersWord, type Protocol } from "./detect-protocol.ts";
import { type DownstreamContext, describeDownstream } from "./downstream.ts";
import { LiveDownstream } from "./live-downstream.ts";

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
    const gone = whenClosed(stream);
    if (downstream.port?.protocol === "tcp") {
      await this.#carry(end, downstream, gone, {
        accept: () => answerConnect(stream, 200, undefined),
        refuse: (why) => answerConnect(stream, STATUS[why.reason] ?? 503, undefined),
      });
      return;
    }
    answerConnect(stream, 200, undefined);
    await this.#serveDetected(new PeekedEnd(end), downstream, gone);
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
    const { connections, protocolDetectionMs } = this.#deps;
    const declared = downstream.port?.protocol ?? "auto";
    const waiting = new WaitingClient(end);
    connections.add(waiting, { carries: "undecided", downstream });
    const timeoutMs = declared === "auto" ? protocolDetectionMs : FIRST_BYTE_MS;
    const protocol = await end.peek(judgeOf(declared), timeoutMs);
    connections.delete(waiting);
    if (protocol === undefined || end.closed) end.reset();
    else if (isHttp(protocol)) this.#serveHttp(end, downstream, protocol.kind);
    else if (end.isSilent) await this.#carrySilent(end, downstream, gone);
    else await this.#carry(end, withSni(downstream, protocol), gone, answered(end));
  }

  /**
   * The server is taken to speak first, and connected to. A client that was only slow, and then
   * turns out to speak HTTP or TLS before the server has said a word, is served as what it is: its
   * policies and routes are not passed by.
   */
  #carrySilent(end: PeekedEnd, downstream: Downstream, gone: AbortSignal): Promise<void> {
    const firstWord: TcpClient["firstWord"] = async (upstream) => {
      const first = await this.#firstWord(end, downstream, upstream);
      if (first === undefined || first.kind === "tcp" || end.closed) return "carry";
      if (isHttp(first)) this.#serveHttp(end, downstream, first.kind);
      else await this.#carry(end, withSni(downstream, first), gone, answered(end));
      return "taken";
    };
    return this.#carry(end, downstream, gone, { ...answered(end), firstWord });
  }

  /** Undefined: it was the server's, or nobody has said any. */
  async #firstWord(
    end: PeekedEnd,
    downstream: Downstream,
    upstream: PeekedEnd | undefined,
  ): Promise<Protocol | undefined> {
    const { connections } = this.#deps;
    const waiting = new WaitingClient(end);
    connections.add(waiting, { carries: "undecided", downstream });
    const client = end.peek(judgeOf("auto"), upstream === undefined ? LATE_WORD_MS : FIRST_BYTE_MS);
    const spoken = (bytes: Uint8Array, over: boolean): true | undefined =>
      over || isServersWord(bytes) ? true : undefined;
    const server = upstream?.peek(spoken, FIRST_BYTE_MS);
    const first = await Promise.race(server === undefined ? [client] : [client, server]);
    connections.delete(waiting);
    return typeof first === "object" ? first : undefined;
  }

  #carry(
    end: End,
    downstream: Downstream,
    gone: AbortSignal,
    how: Pick<TcpClient, "accept" | "refuse" | "firstWord">,
  ): Promise<void> {
    const live = new LiveDownstream(this.#deps.downstream, downstream, () => undefined);
    const current = (): Downstream => live.current();
    return this.#deps.carryTcp({ end, downstream, current, gone, ...how });
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
    if (!closed) connections.add(connection, { carries: version, downstream: first });
  }
}

/** A client that has not said yet what it speaks. */
class WaitingClient implements ServerConnection {
  readonly #end: PeekedEnd;

  constructor(end: PeekedEnd) {
    this.#end = end;
  }

  /** What it may be just about to send is still taken. */
  drain(): void {
    setTimeout(() => this.#end.isSilent && this.#end.reset(), DRAIN_NOTICE_MS);
  }

  destroy(): void {
    this.#end.reset();
  }
}

function judgeOf(declared: Declared): Judge<Protocol> {
  return (bytes, over) => detectProtocol(declared, bytes, over);
}

function isHttp(protocol: Protocol): protocol is Protocol & { kind: "http1" | "http2" } {
  return protocol.kind === "http1" || protocol.kind === "http2";
}

function withSni(downstream: Downstream, protocol: Protocol): Downstream {
  return protocol.kind === "tls" ? { ...downstream, sni: protocol.sni } : downstream;
}

/** CONNECT has been answered 200 already. */
function answered(end: End): Pick<TcpClient, "accept" | "refuse"> {
  return { accept: () => undefined, refuse: () => end.reset() };
}

/** Aborted when the client has left. */
function whenClosed(stream: ServerHttp2Stream): AbortSignal {
  const controller = new AbortController();
  if (stream.closed) controller.abort();
  else stream.once("close", () => controller.abort());
  return controller.signal;
}
