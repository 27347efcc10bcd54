/**
 * The server's end of HBONE for one captured pod: TLS on 15008, then an HTTP/2 session per
 * connection.
 */
import http2, { type ServerHttp2Session } from "node:http2";
import type net from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { hboneServerSettings } from "#common/hbone/settings.ts";
import { type IpAddress, parseIp, type SocketAddress } from "#common/model/ip.ts";
import { HBONE_ALPN, mtlsServerOptions } from "#common/tls/mtls-options.ts";
import { describeHandshakeFailure, verifyClientPeer } from "#common/tls/verify-peer.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { type ConnectionFailure, failure, limitReached } from "#common/transport/failure.ts";
import { CERTIFICATE_WAIT_MS, SESSION_MEMORY_MB } from "#common/transport/limits.ts";
import {
  PENDING_HANDSHAKES_PER_POD,
  REJECTED_STREAMS_PER_SESSION,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE_PER_S,
} from "../limits.ts";
import type { InboundHbone, TunnelPeer } from "./inbound-hbone.ts";
import { strangerMeta } from "./inbound-meta.ts";
import { rawSocketOf } from "./node-internals.ts";
import type { PodContext } from "./pod-context.ts";

export class HboneServer {
  readonly #context: PodContext;
  readonly #inbound: InboundHbone;
  readonly #sessions = new Map<ServerHttp2Session, TLSSocket>();
  /** Over at the last sweep, with their sockets still open. */
  readonly #closing = new WeakSet<ServerHttp2Session>();
  #tlsServer: tls.Server | undefined;
  /** What peers are verified against. */
  #rootsPem = "";
  /** Connections whose handshake is not over. */
  readonly #handshakes = new Map<net.Socket, PeerAddresses>();
  /** Of those, the ones that came before the pod's first certificate. */
  readonly #waiting = new Set<net.Socket>();
  /** Set while draining: how long a tunnel's peer is given to open its streams elsewhere. */
  #noticeMs: number | undefined;

  constructor(context: PodContext, inbound: InboundHbone) {
    this.#context = context;
    this.#inbound = inbound;
  }

  /** New connections use this certificate from now on; those that stand keep theirs. */
  setCertificate(certificate: WorkloadCertificate): void {
    const options = mtlsServerOptions(certificate);
    this.#rootsPem = certificate.rootsPem;
    if (this.#tlsServer !== undefined) {
      this.#tlsServer.setSecureContext(options);
      return;
    }
    const server = tls.createServer(options);
    server.on("secureConnection", (socket) => {
      this.#handshakeOver(socket);
      this.#secured(socket);
    });
    server.on("tlsClientError", (error, socket) => {
      const peer = this.#handshakeOver(socket) ?? peerOf(socket);
      this.#refused(peer, describeHandshakeFailure(error, socket));
      socket.destroy();
    });
    this.#tlsServer = server;
    for (const socket of this.#waiting) server.emit("connection", socket);
    this.#waiting.clear();
  }

  /** A connection on 15008. */
  accept(socket: net.Socket): void {
    socket.on("error", IGNORE_REPORTED_ELSEWHERE);
    const { capacity, tracker } = this.#context;
    if (capacity.memoryIsShort) {
      socket.resetAndDestroy();
      tracker.acceptFailed("memory");
      return;
    }
    const peer = peerOf(socket);
    if (this.#handshakes.size >= PENDING_HANDSHAKES_PER_POD) this.#dropOldestHandshake();
    this.#handshakes.set(socket, peer);
    tracker.accepted();
    socket.once("close", () => {
      this.#waiting.delete(socket);
      // 'tlsClientError' may come after 'close'; what it has not reported by then is reported here.
      setImmediate(() => {
        if (this.#forget(socket)) this.#refused(peer, HANDSHAKE_CUT);
      });
    });
    if (this.#tlsServer === undefined) this.#awaitCertificate(socket, peer);
    else this.#tlsServer.emit("connection", socket);
  }

  /**
   * A ztunnel that has just started has its listeners before its certificates: callers wait a
   * little.
   */
  #awaitCertificate(socket: net.Socket, peer: PeerAddresses): void {
    this.#waiting.add(socket);
    const timer = setTimeout(() => {
      if (!this.#waiting.delete(socket)) return;
      this.#forget(socket);
      this.#refused(peer, failure("identity-unavailable", "this pod has no certificate yet"));
      socket.resetAndDestroy();
    }, CERTIFICATE_WAIT_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  /** Cuts connections that were closed before the last sweep, and whose peers have not done so. */
  sweep(): void {
    for (const [session, socket] of this.#sessions) {
      if (!session.destroyed) continue;
      if (this.#closing.has(session)) socket.destroy();
      else this.#closing.add(session);
    }
  }

  *sessions(): Generator<ServerHttp2Session> {
    yield* this.#sessions.keys();
  }

  /**
   * Streams under way go on, the peers open new ones elsewhere. GOAWAY comes twice, as RFC 9113 6.8
   * has it: first as a notice, then, `noticeMs` later, with the last stream that was served.
   */
  drain(noticeMs: number): void {
    this.#noticeMs = noticeMs;
    for (const session of this.#sessions.keys()) this.#sayFarewell(session, noticeMs);
  }

  #sayFarewell(session: ServerHttp2Session, noticeMs: number): void {
    // Destroyed, and its socket not closed yet: there is nobody to tell, and Node would throw.
    if (session.destroyed) return;
    const { tracker } = this.#context;
    session.goaway(http2.constants.NGHTTP2_NO_ERROR, MAX_STREAM_ID);
    tracker.accepted();
    setTimeout(() => {
      if (!session.destroyed) session.close();
      tracker.decided();
    }, noticeMs);
  }

  destroy(): void {
    for (const socket of this.#handshakes.keys()) socket.destroy();
    for (const [session, socket] of this.#sessions) {
      session.destroy();
      socket.destroy();
    }
  }

  /**
   * Handshakes take milliseconds: the oldest is the likeliest never to end, the newest an honest
   * one.
   */
  #dropOldestHandshake(): void {
    for (const [socket, peer] of this.#handshakes) {
      this.#forget(socket);
      const pending = `${PENDING_HANDSHAKES_PER_POD} TLS handshakes are pending`;
      const message = `${pending}, and this is the oldest`;
      this.#refused(peer, limitReached("pending-handshakes", message));
      socket.resetAndDestroy();
      return;
    }
  }

  #handshakeOver(socket: TLSSocket): PeerAddresses | undefined {
    const raw = rawSocketOf(socket);
    return raw && this.#forget(raw);
  }

  /** The handshake is no longer under way; undefined if it was not. */
  #forget(socket: net.Socket): PeerAddresses | undefined {
    const peer = this.#handshakes.get(socket);
    if (this.#handshakes.delete(socket)) this.#context.tracker.decided();
    return peer;
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", IGNORE_REPORTED_ELSEWHERE);
    const verdict = verifyClientPeer(socket, this.#context.trustDomains);
    if (!verdict.ok) {
      this.#refused(peerOf(socket), verdict);
      socket.destroy();
      return;
    }
    if (socket.alpnProtocol !== HBONE_ALPN) {
      this.#refused(peerOf(socket), NOT_HTTP2);
      socket.destroy();
      return;
    }
    const watched = this.#context.peers.examine(socket, { rootsPem: this.#rootsPem });
    if ("ok" in watched) {
      this.#refused(peerOf(socket), watched);
      socket.destroy();
      return;
    }
    const { address, localIp } = peerOf(socket);
    if (address === undefined || localIp === undefined) {
      // Gone already.
      socket.destroy();
      return;
    }
    const session = http2.performServerHandshake(socket, this.#sessionOptions());
    const peer: TunnelPeer = {
      identity: verdict.identity,
      address,
      localIp,
      alive: () => !session.destroyed && !socket.destroyed,
    };
    this.#serve(session, socket, peer);
    const unwatch = this.#context.peers.watch(watched, {
      onExpired: () => session.close(),
      onRevoked: (error) => session.destroy(error),
    });
    socket.once("close", unwatch);
  }

  #sessionOptions(): http2.ServerSessionOptions {
    return { ...SESSION_OPTIONS, settings: hboneServerSettings(this.#context.tuning.http2) };
  }

  #serve(session: ServerHttp2Session, socket: TLSSocket, peer: TunnelPeer): void {
    const { tracker } = this.#context;
    this.#sessions.set(session, socket);
    session.setLocalWindowSize(this.#context.tuning.http2.connectionWindowBytes);
    session.on("stream", (stream, headers) => {
      tracker.accepted();
      this.#inbound
        .handle(stream, headers, peer)
        .catch((error) => {
          stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
          tracker.internalError(error);
        })
        .finally(() => tracker.decided());
    });
    if (this.#noticeMs !== undefined) this.#sayFarewell(session, this.#noticeMs);
    const end = (): void => {
      session.destroy();
      socket.destroy();
    };
    session.on("error", end);
    socket.on("error", end);
    socket.once("close", () => {
      session.destroy();
      this.#sessions.delete(session);
    });
  }

  #refused(
    { address, localIp }: PeerAddresses,
    why: Pick<ConnectionFailure, "reason" | "message" | "limit">,
  ): void {
    const { state, pod, tracker } = this.#context;
    tracker.refused(
      strangerMeta(address, localIp, state.findWorkloadByUid(pod.workloadUid)),
      performance.now(),
      { ...failure(why.reason, why.message), ...(why.limit && { limit: why.limit }) },
    );
  }
}

/** GOAWAY with it refuses no stream (RFC 9113 6.8). */
const MAX_STREAM_ID = 2 ** 31 - 1;

const SESSION_OPTIONS: http2.ServerSessionOptions = {
  maxSessionMemory: SESSION_MEMORY_MB,
  maxSessionRejectedStreams: REJECTED_STREAMS_PER_SESSION,
  streamResetBurst: STREAM_RESET_BURST,
  streamResetRate: STREAM_RESET_RATE_PER_S,
};

/**
 * An emitter without an 'error' listener would end the process; what follows ('close') is handled.
 */
const IGNORE_REPORTED_ELSEWHERE = (): void => undefined;

const NOT_HTTP2 = failure("h2-failed", "the client did not offer HTTP/2 in its TLS handshake");

const HANDSHAKE_CUT = failure("tls-failed", "the connection ended during the TLS handshake");

/** Read while the socket is open: a destroyed one no longer knows them. */
interface PeerAddresses {
  readonly address: SocketAddress | undefined;
  readonly localIp: IpAddress | undefined;
}

function peerOf(socket: net.Socket): PeerAddresses {
  const ip = parseIp(socket.remoteAddress ?? "");
  return {
    address: ip && { ip, port: socket.remotePort ?? 0 },
    localIp: parseIp(socket.localAddress ?? ""),
  };
}
