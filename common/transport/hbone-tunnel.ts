/**
 * The client's end of one HBONE connection: mutual TLS, HTTP/2, one CONNECT stream per connection.
 */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type net from "node:net";
import tls, { type SecureContext, type TLSSocket } from "node:tls";
import { hboneClientSettings } from "#common/hbone/settings.ts";
import type { Identity, TrustDomains } from "#common/model/identity.ts";
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";
import { mtlsClientOptions } from "#common/tls/mtls-options.ts";
import { describeHandshakeFailure } from "#common/tls/verify-peer.ts";
import { type ConnectionFailure, failure } from "./failure.ts";
import { HboneEnd, type HboneEndContext } from "./hbone-end.ts";
import {
  CONNECT_RESPONSE_TIMEOUT_MS,
  SESSION_MEMORY_MB,
  TLS_HANDSHAKE_TIMEOUT_MS,
} from "./limits.ts";
import type { TunnelSettings } from "./tunnel-settings.ts";

/**
 * Everything by which tunnels are told apart: two connections share one only if all of it is equal.
 */
export interface TunnelTarget {
  readonly sourceIdentity: Identity;
  /** URIs of which the server must present one; sorted. */
  readonly destinationIdentities: readonly string[];
  readonly address: SocketAddress;
  readonly workloadUid: string;
}

/** An accepted CONNECT: the stream and what the server said of itself. */
export interface OpenStream {
  readonly end: HboneEnd;
  readonly baggage: string | undefined;
  /** Calls back once, when its tunnel is to be used no further; until the stream is over. */
  readonly onRetired: OnRetired;
}

/** The returned function ends it. */
export type OnRetired = (listener: () => void) => () => void;

/** A TLS connection whose peer has been verified. */
export interface SecuredSocket {
  readonly socket: TLSSocket;
  /** When the first of the two certificates ends: no stream begins later. Milliseconds. */
  readonly notAfter: number;
}

/** What a tunnel has from its worker. */
export interface TunnelContext extends HboneEndContext {
  readonly tuning: TunnelSettings;
}

export class HboneTunnel {
  readonly target: TunnelTarget;
  activeStreams = 0;
  /** `performance.now()` when it was opened. */
  readonly openedAt = performance.now();
  idleSince = Date.now();
  /** When its last stream was over and it was closed; its peer may not have done so. */
  closedAt: number | undefined;
  readonly session: ClientHttp2Session;
  readonly #socket: TLSSocket;
  readonly #notAfter: number;
  readonly #context: HboneEndContext;
  readonly #streamsMax: number;
  /** No further streams: going away, rotated or evicted. */
  #retired = false;
  readonly #onRetired = new Set<() => void>();

  constructor(
    target: TunnelTarget,
    { socket, notAfter }: SecuredSocket,
    context: TunnelContext,
    onClosed: (tunnel: HboneTunnel) => void,
  ) {
    this.target = target;
    this.#socket = socket;
    this.#notAfter = notAfter;
    this.#context = context;
    const { tuning } = context;
    this.#streamsMax = tuning.streamsPerTunnel;
    this.session = http2.connect("https://hbone", {
      createConnection: () => socket,
      settings: hboneClientSettings(tuning.http2),
      maxSessionMemory: SESSION_MEMORY_MB,
      peerMaxConcurrentStreams: this.#streamsMax,
    });
    this.session.setLocalWindowSize(tuning.http2.connectionWindowBytes);
    this.session.on("goaway", () => this.#setRetired());
    // The streams report what happened; an error without a listener would end the process. After an
    // error of its TLS socket (an alert, say) a session is destroyed but does not close by itself.
    this.session.on("error", () => this.destroy());
    socket.on("error", () => this.destroy());
    socket.once("close", () => {
      this.destroy();
      onClosed(this);
    });
    if (socket.destroyed) setImmediate(() => socket.emit("close"));
  }

  get alive(): boolean {
    return !this.session.destroyed && !this.#socket.destroyed;
  }

  /** Whether one more stream fits, by our bound and the peer's. */
  get hasRoom(): boolean {
    if (this.#retired || !this.alive || this.session.closed) return false;
    if (this.#notAfter <= Date.now()) return false;
    const peerLimit = this.session.remoteSettings?.maxConcurrentStreams ?? this.#streamsMax;
    return this.activeStreams < Math.min(this.#streamsMax, peerLimit);
  }

  /** Sends CONNECT, with these names and values in turn, and waits for its answer. */
  connect(headers: readonly string[]): Promise<OpenStream | ConnectionFailure> {
    let stream: ClientHttp2Stream;
    try {
      stream = this.session.request(headers, STAYS_OPEN);
    } catch (error) {
      return Promise.resolve(lost(error instanceof Error ? error.message : String(error)));
    }
    this.activeStreams++;
    return this.#answered(stream);
  }

  /** Takes no more streams, and closes when the last one is over. */
  retire(): void {
    this.#setRetired();
    if (this.activeStreams === 0) this.close();
  }

  /** GOAWAY and close when the last stream is gone. */
  close(): void {
    this.#setRetired();
    this.closedAt ??= Date.now();
    if (!this.session.destroyed) this.session.close();
  }

  /**
   * Cuts every stream, with this error where there is one. Never from an event of one of them: Node
   * 26.10 crashes where a session is destroyed in the turn in which one of its streams is over
   * while others are in the middle of large writes.
   */
  destroy(error?: Error): void {
    this.#setRetired();
    this.session.destroy(error);
    this.#socket.destroy();
  }

  #answered(stream: ClientHttp2Stream): Promise<OpenStream | ConnectionFailure> {
    return new Promise((resolve) => {
      const end = new HboneEnd(stream, this.#context, () => this.alive);
      let pending = true;
      const give = (result: OpenStream | ConnectionFailure): void => {
        pending = false;
        clearTimeout(timer);
        if ("ok" in result && !stream.closed) stream.close(http2.constants.NGHTTP2_CANCEL);
        resolve(result);
      };
      const timer = setTimeout(
        () => give(failure("connect-timeout", `no answer to CONNECT from ${this.#peer()}`)),
        CONNECT_RESPONSE_TIMEOUT_MS,
      );
      stream.on("close", () => {
        this.#streamClosed();
        if (pending) give(unanswered(this.#peer(), end.error));
      });
      stream.on("response", (headers) => {
        if (!pending) return;
        const status = headers[":status"];
        if (status !== 200) return give(statusFailure(status));
        const baggage = headers.baggage;
        give({
          end,
          baggage: typeof baggage === "string" ? baggage : undefined,
          onRetired: (listener) => this.#whenRetired(listener),
        });
      });
    });
  }

  #whenRetired(listener: () => void): () => void {
    if (this.#retired) setImmediate(listener);
    else this.#onRetired.add(listener);
    return () => void this.#onRetired.delete(listener);
  }

  #setRetired(): void {
    if (this.#retired) return;
    this.#retired = true;
    for (const listener of this.#onRetired) listener();
    this.#onRetired.clear();
  }

  #streamClosed(): void {
    this.activeStreams--;
    this.idleSince = Date.now();
    if (this.#retired && this.activeStreams === 0) this.close();
  }

  #peer(): string {
    return formatSocketAddress(this.target.address);
  }
}

const STAYS_OPEN = { endStream: false };

/**
 * Completes the TLS handshake over a connected socket; the peer is who it should be when this
 * resolves.
 */
export function secureTunnelSocket(
  socket: net.Socket,
  context: SecureContext,
  target: TunnelTarget,
  trustDomains: TrustDomains,
): Promise<TLSSocket | ConnectionFailure> {
  return new Promise((resolve) => {
    const secure = tls.connect({
      socket,
      ...mtlsClientOptions(context, new Set(target.destinationIdentities), trustDomains),
    });
    const peer = formatSocketAddress(target.address);
    const timer = setTimeout(() => {
      give(failure("tls-timeout", `TLS handshake with ${peer} timed out`, { retriable: true }));
    }, TLS_HANDSHAKE_TIMEOUT_MS);
    const give = (result: TLSSocket | ConnectionFailure): void => {
      clearTimeout(timer);
      if ("ok" in result) secure.destroy();
      resolve(result);
    };
    secure.on("error", (error) => {
      const { reason, message } = describeHandshakeFailure(error, secure);
      const retriable = reason !== "identity-mismatch";
      give(failure(reason, `TLS handshake with ${peer} failed: ${message}`, { retriable }));
    });
    secure.once("secureConnect", () => {
      if (secure.alpnProtocol === "h2") return give(secure);
      give(failure("h2-failed", `${peer} does not speak HTTP/2 on its HBONE port`));
    });
    secure.once("close", () =>
      give(failure("tls-failed", `${peer} closed during the TLS handshake`, { retriable: true })),
    );
  });
}

/**
 * A peer that refuses our certificate says so by a TLS alert, after our side of the handshake is
 * done.
 */
function unanswered(peer: string, error: NodeJS.ErrnoException | undefined): ConnectionFailure {
  if (error?.code?.startsWith("ERR_SSL_")) {
    return failure("tls-failed", `${peer} refused our certificate: ${error.message.trim()}`);
  }
  return lost(`${peer} closed the stream before answering${error ? `: ${error.message}` : ""}`);
}

function lost(message: string): ConnectionFailure {
  return failure("peer-reset", message, { retriable: true });
}

/** What the source says of an answer other than 200. */
export function statusFailure(status: number | undefined): ConnectionFailure {
  const text = STATUS_TEXT[status ?? 0] ?? "";
  // 503: the other side could not reach its application; another endpoint may. 400 and 401 are
  // verdicts.
  return failure("http-status", `http status: ${status} ${text}`.trimEnd(), {
    retriable: status === 503,
  });
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  503: "Service Unavailable",
};
