/**
 * An HBONE server of Node's own tls and http2, independent of the product, in a ztunnel's place.
 */
import http2, {
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from "node:http2";
import type net from "node:net";
import tls, { type TLSSocket, type TlsOptions } from "node:tls";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";

/** How the server behaves from now on; each connection takes what holds when it comes. */
export interface Behaviour {
  readonly certificate: WorkloadCertificate;
  readonly tls?: TlsOptions;
  readonly settings?: Settings;
  /** In place of TLS: the bare connection. */
  readonly onSocket?: (socket: net.Socket) => void;
  readonly onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

/** A client that has finished its handshake. */
export interface AcceptedTunnel {
  readonly raw: net.Socket;
  readonly socket: TLSSocket;
  readonly session: ServerHttp2Session;
  /** The URI in the client's certificate. */
  readonly clientUri: string;
  streams: number;
}

export class HboneListener {
  behaviour: Behaviour;
  /** Every tunnel since the last `reset`, in the order in which they came. */
  tunnels: AcceptedTunnel[] = [];
  /** TCP connections since the last `reset`. */
  connections = 0;

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour;
  }

  /** Cuts what stands and forgets it. */
  reset(behaviour: Behaviour): void {
    for (const { session, raw } of this.tunnels) {
      session.destroy();
      raw.resetAndDestroy();
    }
    this.tunnels = [];
    this.connections = 0;
    this.behaviour = behaviour;
  }

  /** Takes over an accepted connection. */
  accept(raw: net.Socket): void {
    this.connections++;
    const { behaviour } = this;
    raw.on("error", () => undefined);
    raw.allowHalfOpen = false;
    if (behaviour.onSocket !== undefined) {
      behaviour.onSocket(raw);
      return;
    }
    const { certChainPem: cert, privateKeyPem: key, rootsPem: ca } = behaviour.certificate;
    const server = tls.createServer({
      ...{ cert, key, ca },
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      ...behaviour.tls,
    });
    server.on("tlsClientError", () => raw.destroy());
    server.on("secureConnection", (secure) => this.#secured(raw, secure, behaviour));
    server.emit("connection", raw);
  }

  #secured(raw: net.Socket, socket: TLSSocket, behaviour: Behaviour): void {
    const settings = behaviour.settings === undefined ? {} : { settings: behaviour.settings };
    const session = http2.performServerHandshake(socket, settings);
    const name = socket.getPeerX509Certificate()?.subjectAltName ?? "";
    const tunnel = { raw, socket, session, clientUri: name.replace(/^URI:/, ""), streams: 0 };
    this.tunnels.push(tunnel);
    socket.on("error", () => undefined);
    session.on("error", () => undefined);
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      tunnel.streams++;
      stream.on("error", () => undefined);
      (behaviour.onStream ?? echo)(stream, headers);
    });
  }
}

/** Accepts the CONNECT and gives back what comes. */
export function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
}
