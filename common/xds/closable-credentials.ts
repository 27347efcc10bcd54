/**
 * Channel credentials that know the connections which are still being made. grpc-js forgets them
 * when their channel is closed and gives up none by itself: each attempt at a server that accepts
 * and says nothing would cost a descriptor for ever, or keep a channel waiting for ever.
 */
import type { Socket } from "node:net";
import { ChannelCredentials } from "@grpc/grpc-js";

type CreateConnector = ChannelCredentials["_createSecureConnector"];
type Connector = ReturnType<CreateConnector>;

/** A connection without a TLS handshake by then is closed, and the channel tries another. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class ClosableCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #handshakeTimeoutMs: number;
  /** Not yet in grpc-js's hands as an HTTP/2 session, which it does close. */
  readonly #connecting = new Set<Socket>();
  #closed = false;

  constructor(inner: ChannelCredentials, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS) {
    super();
    this.#inner = inner;
    this.#handshakeTimeoutMs = handshakeTimeoutMs;
  }

  /** To be called after the channel is closed: ends what it left half made, now and later. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#connecting) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...args: Parameters<CreateConnector>): Connector {
    const connector = this.#inner._createSecureConnector(...args);
    return {
      connect: (socket) => this.#connect(connector, socket),
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }

  async #connect(connector: Connector, socket: Socket) {
    if (this.#closed) throw new Error("the channel was closed while it connected");
    this.#connecting.add(socket);
    const cut = new Promise<never>((_, reject) => {
      socket.once("close", () => {
        this.#connecting.delete(socket);
        reject(new Error("the connection was cut before its TLS handshake was over"));
      });
    });
    const late = setTimeout(() => socket.destroy(), this.#handshakeTimeoutMs);
    try {
      // The connector does not settle if the socket is destroyed under it.
      return await Promise.race([connector.connect(socket), cut]);
    } finally {
      clearTimeout(late);
      // grpc-js makes its session some promises later; what is closed before then is still ours.
      setImmediate(() => this.#connecting.delete(socket));
    }
  }
}
