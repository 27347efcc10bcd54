/**
 * The HTTP/2 sessions of an HBONE server: their streams are handed on, their ends tidied up after,
 * and a drain says farewell to each.
 */
import http2, {
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { type HboneSizes, hboneServerSettings } from "#common/hbone/settings.ts";
import type { Identity } from "#common/model/identity.ts";
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";
import {
  REJECTED_STREAMS_PER_SESSION,
  SESSION_MEMORY_MB,
  STREAM_RESET_BURST,
  STREAM_RESET_RATE_PER_S,
} from "./limits.ts";

/** Who is at the other end, proved, and the address of ours that was called. */
export interface VerifiedPeer {
  readonly identity: Identity;
  readonly address: SocketAddress;
  readonly localIp: IpAddress;
}

/** The connection under a CONNECT: who is at the other end, and the address it came in on. */
export interface TunnelPeer extends VerifiedPeer {
  /** Whether the tunnel still stands. */
  readonly alive: () => boolean;
}

/** Read while the socket is open: a destroyed one no longer knows them. */
export interface PeerAddresses {
  readonly address: SocketAddress | undefined;
  readonly localIp: IpAddress | undefined;
}

/** Whoever counts what is under way. */
export interface SessionEvents {
  /** A connection or stream has begun whose fate is open; `decided` follows. */
  accepted(): void;
  decided(): void;
  internalError(error: unknown): void;
}

export interface HboneSessionsDeps {
  readonly http2: HboneSizes;
  /** Takes a stream over: CONNECT, or whatever else came. Rejects by a defect of ours only. */
  readonly onStream: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    peer: TunnelPeer,
  ) => Promise<void>;
  readonly events: SessionEvents;
}

export class HboneSessions {
  readonly #deps: HboneSessionsDeps;
  readonly #sessions = new Map<ServerHttp2Session, TLSSocket>();
  /** Over at the last sweep, with their sockets still open. */
  readonly #closing = new WeakSet<ServerHttp2Session>();
  /** Set while draining: how long a tunnel's peer is given to open its streams elsewhere. */
  #noticeMs: number | undefined;

  constructor(deps: HboneSessionsDeps) {
    this.#deps = deps;
  }

  /** HTTP/2 over a connection whose client has proved who it is. */
  serve(socket: TLSSocket, client: VerifiedPeer): ServerHttp2Session {
    const { events, http2: sizes, onStream } = this.#deps;
    const settings = hboneServerSettings(sizes);
    const session = http2.performServerHandshake(socket, { ...SESSION_OPTIONS, settings });
    const alive = (): boolean => !session.destroyed && !socket.destroyed;
    const peer: TunnelPeer = { ...client, alive };
    this.#sessions.set(session, socket);
    session.setLocalWindowSize(sizes.connectionWindowBytes);
    session.on("stream", (stream, headers) => {
      events.accepted();
      onStream(stream, headers, peer)
        .catch((error) => {
          stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
          events.internalError(error);
        })
        .finally(() => events.decided());
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
    return session;
  }

  /** Cuts connections that were closed before the last sweep, and whose peers have not done so. */
  sweep(): void {
    for (const [session, socket] of this.#sessions) {
      if (!session.destroyed) continue;
      if (this.#closing.has(session)) socket.destroy();
      else this.#closing.add(session);
    }
  }

  values(): Iterable<ServerHttp2Session> {
    return this.#sessions.keys();
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
    const { events } = this.#deps;
    session.goaway(http2.constants.NGHTTP2_NO_ERROR, MAX_STREAM_ID);
    events.accepted();
    setTimeout(() => {
      if (!session.destroyed) session.close();
      events.decided();
    }, noticeMs);
  }

  destroy(): void {
    for (const [session, socket] of this.#sessions) {
      session.destroy();
      socket.destroy();
    }
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
