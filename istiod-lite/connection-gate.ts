/**
 * The door of port 15012. Anybody on the network may connect, so until a connection has brought a
 * call with a good token it gets little: a short life, and a place among a bounded number of such.
 */
import net from "node:net";
import type { ConnectionInjector, Server } from "@grpc/grpc-js";
import { ServerCredentials } from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import type { ServerCredentials as ServerCertificate } from "./ca/certificate-authority.ts";
import {
  AUTHENTICATION_TIMEOUT_MS,
  CONNECTION_AGE_MS,
  GRPC_CONNECTIONS,
  UNAUTHENTICATED_CONNECTIONS,
} from "./limits.ts";

export type DropReason = "too-many" | "too-many-unauthenticated" | "authentication-timeout";

export interface ConnectionGateDeps {
  readonly server: Server;
  readonly onDropped: (reason: DropReason) => void;
  /** Default GRPC_CONNECTIONS, UNAUTHENTICATED_CONNECTIONS, AUTHENTICATION_TIMEOUT_MS. */
  readonly bounds?: { connections: number; unauthenticated: number; timeoutMs: number };
}

const BOUNDS = {
  connections: GRPC_CONNECTIONS,
  unauthenticated: UNAUTHENTICATED_CONNECTIONS,
  timeoutMs: AUTHENTICATION_TIMEOUT_MS,
};

export class ConnectionGate {
  readonly #deps: ConnectionGateDeps;
  readonly #bounds: typeof BOUNDS;
  readonly #listener = net.createServer((socket) => this.#accept(socket));
  readonly #connections = new Map<string, net.Socket>();
  /** Those without a good token yet, oldest first, with the timers of their end. */
  readonly #unproven = new Map<string, NodeJS.Timeout>();
  #injector: ConnectionInjector | undefined;

  constructor(deps: ConnectionGateDeps) {
    this.#deps = deps;
    this.#bounds = deps.bounds ?? BOUNDS;
  }

  /** New connections are shown this certificate from now on; those that stand go on. */
  setCertificate({ certChainPem, privateKeyPem }: ServerCertificate): void {
    const pair = { cert_chain: Buffer.from(certChainPem), private_key: Buffer.from(privateKeyPem) };
    const credentials = ServerCredentials.createSsl(null, [pair], false);
    const previous = this.#injector;
    this.#injector = this.#deps.server.createConnectionInjector(credentials);
    // By then its connections have reached their age, and have ended by themselves.
    setTimeout(() => previous?.destroy(), 2 * CONNECTION_AGE_MS).unref();
  }

  /** Resolves with the port. Rejects with MeshError BIND_FAILED. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", (cause) => {
        const hint = "is another istiod-lite running? --xds-port takes another port";
        const message = `cannot listen on ${host} port ${port}`;
        reject(new MeshError("BIND_FAILED", message, { cause, hint }));
      });
      this.#listener.listen({ host, port, backlog: this.#bounds.unauthenticated }, () => {
        // From here on it is a connection that could not be accepted: no descriptor was left.
        this.#listener.removeAllListeners("error").on("error", () => this.#dropped("too-many"));
        resolve((this.#listener.address() as net.AddressInfo).port);
      });
    });
  }

  /** A call on the connection from `peer` ("address:port", as gRPC says it) proved its caller. */
  proved(peer: string): void {
    clearTimeout(this.#unproven.get(peer));
    this.#unproven.delete(peer);
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Takes no more connections; those that stand are the gRPC server's to end. */
  close(): void {
    this.#listener.close();
    for (const peer of [...this.#unproven.keys()]) this.#end(peer);
  }

  #accept(socket: net.Socket): void {
    const injector = this.#injector;
    const { remoteAddress, remotePort } = socket;
    if (injector === undefined || remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    if (this.#connections.size >= this.#bounds.connections) {
      this.#dropped("too-many");
      socket.resetAndDestroy();
      return;
    }
    if (this.#unproven.size >= this.#bounds.unauthenticated) this.#dropOldest();
    const peer = `${remoteAddress}:${remotePort}`;
    const timer = setTimeout(() => {
      this.#dropped("authentication-timeout");
      this.#end(peer);
    }, this.#bounds.timeoutMs);
    this.#connections.set(peer, socket);
    this.#unproven.set(peer, timer);
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.proved(peer);
      this.#connections.delete(peer);
    });
    injector.injectConnection(socket);
  }

  /** Proving takes milliseconds: the oldest is the likeliest never to, the newest an honest one. */
  #dropOldest(): void {
    for (const peer of this.#unproven.keys()) {
      this.#dropped("too-many-unauthenticated");
      this.#end(peer);
      return;
    }
  }

  #end(peer: string): void {
    const socket = this.#connections.get(peer);
    this.proved(peer);
    socket?.resetAndDestroy();
  }

  #dropped(reason: DropReason): void {
    this.#deps.onDropped(reason);
  }
}
