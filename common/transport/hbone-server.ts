/**
 * The server's end of HBONE for one identity: TLS on accepted sockets, then an HTTP/2 session per
 * connection. What its streams ask for is its user's business.
 */
import type { ServerHttp2Session } from "node:http2";
import type net from "node:net";
import tls, { type TLSSocket } from "node:tls";
import type { TrustDomains } from "#common/model/identity.ts";
import { parseIp } from "#common/model/ip.ts";
import { HBONE_ALPN, mtlsServerOptions } from "#common/tls/mtls-options.ts";
import { describeHandshakeFailure, verifyClientPeer } from "#common/tls/verify-peer.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import { type ConnectionFailure, failure, limitReached } from "./failure.ts";
import {
  HboneSessions,
  type HboneSessionsDeps,
  type PeerAddresses,
  type SessionEvents,
} from "./hbone-sessions.ts";
import { CERTIFICATE_WAIT_MS, PENDING_HANDSHAKES } from "./limits.ts";
import type { PeerWatch } from "./peer-watch.ts";
import { rawSocketOf } from "./raw-socket.ts";

/** Whoever counts what is under way and what went wrong. */
export interface HboneServerEvents extends SessionEvents {
  /** Dropped at accept, before anything was known of it. */
  acceptFailed(limit: "memory"): void;
  /** A connection that did not become a tunnel. */
  refused(peer: PeerAddresses, why: ConnectionFailure): void;
}

export interface HboneServerDeps extends HboneSessionsDeps {
  /** Everybody who is connected by mutual TLS. */
  readonly peers: PeerWatch;
  readonly trustDomains: TrustDomains;
  readonly memoryIsShort: () => boolean;
  readonly events: HboneServerEvents;
}

export class HboneServer {
  readonly #deps: HboneServerDeps;
  readonly #sessions: HboneSessions;
  #tlsServer: tls.Server | undefined;
  /** What peers are verified against. */
  #rootsPem = "";
  /** Connections whose handshake is not over. */
  readonly #handshakes = new Map<net.Socket, PeerAddresses>();
  /** Of those, the ones that came before the first certificate. */
  readonly #waiting = new Set<net.Socket>();

  constructor(deps: HboneServerDeps) {
    this.#deps = deps;
    this.#sessions = new HboneSessions(deps);
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
    const { events, memoryIsShort } = this.#deps;
    if (memoryIsShort()) {
      socket.resetAndDestroy();
      events.acceptFailed("memory");
      return;
    }
    const peer = peerOf(socket);
    if (this.#handshakes.size >= PENDING_HANDSHAKES) this.#dropOldestHandshake();
    this.#handshakes.set(socket, peer);
    events.accepted();
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
   * A proxy that has just started has its listeners before its certificates: callers wait a little.
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
    this.#sessions.sweep();
  }

  sessions(): Iterable<ServerHttp2Session> {
    return this.#sessions.values();
  }

  /** Streams under way go on; the peers open new ones elsewhere within `noticeMs`. */
  drain(noticeMs: number): void {
    this.#sessions.drain(noticeMs);
  }

  destroy(): void {
    for (const socket of this.#handshakes.keys()) socket.destroy();
    this.#sessions.destroy();
  }

  /**
   * Handshakes take milliseconds: the oldest is the likeliest never to end, the newest an honest
   * one.
   */
  #dropOldestHandshake(): void {
    for (const [socket, peer] of this.#handshakes) {
      this.#forget(socket);
      const pending = `${PENDING_HANDSHAKES} TLS handshakes are pending`;
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
    if (this.#handshakes.delete(socket)) this.#deps.events.decided();
    return peer;
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", IGNORE_REPORTED_ELSEWHERE);
    const verdict = verifyClientPeer(socket, this.#deps.trustDomains);
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
    const watched = this.#deps.peers.examine(socket, { rootsPem: this.#rootsPem });
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
    const peer = { identity: verdict.identity, address, localIp };
    const session = this.#sessions.serve(socket, peer);
    const unwatch = this.#deps.peers.watch(watched, {
      onExpired: () => session.close(),
      onRevoked: (error) => session.destroy(error),
    });
    socket.once("close", unwatch);
  }

  #refused(
    peer: PeerAddresses,
    why: Pick<ConnectionFailure, "reason" | "message" | "limit">,
  ): void {
    const { limit } = why;
    this.#deps.events.refused(peer, {
      ...failure(why.reason, why.message),
      ...(limit !== undefined && { limit }),
    });
  }
}

/**
 * An emitter without an 'error' listener would end the process; what follows ('close') is handled.
 */
const IGNORE_REPORTED_ELSEWHERE = (): void => undefined;

const NOT_HTTP2 = failure("h2-failed", "the client did not offer HTTP/2 in its TLS handshake");

const HANDSHAKE_CUT = failure("tls-failed", "the connection ended during the TLS handshake");

function peerOf(socket: net.Socket): PeerAddresses {
  const ip = parseIp(socket.remoteAddress ?? "");
  return {
    address: ip && { ip, port: socket.remotePort ?? 0 },
    localIp: parseIp(socket.localAddress ?? ""),
  };
}
