/**
 * Opens TCP connections from inside a pod's network namespace, with ztunnel's mark and a time
 * limit.
 */
import type net from "node:net";
import { formatSocketAddress, type IpAddress, type SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import {
  CLIENT_LEFT,
  type ConnectionFailure,
  failure,
  limitReached,
} from "#common/transport/failure.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { CONNECT_TIMEOUT_MS } from "../limits.ts";
import { adoptDescriptor } from "./node-internals.ts";
import { type TcpContext, TcpEnd } from "./tcp-end.ts";

/** Packets with this mark are ztunnel's own and are not captured again. Source: Istio's 0x539. */
export const ZTUNNEL_MARK = 0x539;

export interface DialRequest {
  readonly netns: Netns;
  readonly address: SocketAddress;
  /**
   * Connect from this address although it is not the pod's: the application then sees its real
   * client.
   */
  readonly source?: IpAddress;
  /** Called once while it is connecting, with what ends the attempt: it then fails at once. */
  readonly onPending?: (giveUp: () => void) => void;
}

export class Dialer {
  readonly #syscalls: Syscalls;
  readonly #tcp: TcpContext;

  constructor(syscalls: Syscalls, tcp: TcpContext) {
    this.#syscalls = syscalls;
    this.#tcp = tcp;
  }

  /** A connected end that reads nothing yet; keepalive is set once it has proved to last. */
  async connectEnd(request: DialRequest): Promise<TcpEnd | ConnectionFailure> {
    const fd = this.#open(request, false);
    if (typeof fd !== "number") return fd;
    const end = TcpEnd.connecting(fd, this.#tcp);
    const { address } = request;
    const connect: Connect = (done) => end.connect(address.ip, address.port, done);
    const failed = await connected(request, connect);
    if (failed !== undefined) end.reset();
    return failed ?? end;
  }

  /** A connected plain Socket, for TLS on top. */
  async connectSocket(request: DialRequest): Promise<net.Socket | ConnectionFailure> {
    const fd = this.#open(request, true);
    if (typeof fd !== "number") return fd;
    const socket = adoptDescriptor(fd);
    const { address } = request;
    const failed = await connected(request, connectSocket(socket, address));
    if (failed !== undefined) socket.on("error", () => undefined).destroy();
    return failed ?? socket;
  }

  #open({ netns, address, source }: DialRequest, keepalive: boolean): number | ConnectionFailure {
    const family = address.ip.includes(":") ? "ipv6" : "ipv4";
    const sameFamily = source !== undefined && source.includes(":") === (family === "ipv6");
    try {
      return this.#syscalls.inNetns(netns, () =>
        this.#syscalls.openTcpSocket({
          family,
          mark: ZTUNNEL_MARK,
          keepalive,
          ...(sameFamily && { source }),
        }),
      );
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const message = `no socket for ${formatSocketAddress(address)}: ${error.message}`;
      return error.code === "EMFILE"
        ? limitReached("descriptors", message)
        : failure("connect-failed", message);
    }
  }
}

type Connect = (done: (error: Error | undefined) => void) => void;

/** Waits for the connection; undefined when it stands. */
function connected(
  { address, onPending }: DialRequest,
  connect: Connect,
): Promise<ConnectionFailure | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(notConnected(address, "timed out")), CONNECT_TIMEOUT_MS);
    const settle = (failed: ConnectionFailure | undefined): void => {
      clearTimeout(timer);
      resolve(failed);
    };
    connect((error) => settle(error && notConnected(address, `failed: ${error.message}`)));
    onPending?.(() => settle(CLIENT_LEFT));
  });
}

function notConnected(address: SocketAddress, how: string): ConnectionFailure {
  const reason = how === "timed out" ? "connect-timeout" : "connect-failed";
  const message = `connection to ${formatSocketAddress(address)} ${how}`;
  return failure(reason, message, { retriable: true });
}

/** Afterwards errors of the socket are its user's to hear of. */
function connectSocket(socket: net.Socket, { ip, port }: SocketAddress): Connect {
  return (done) => {
    socket.once("error", done);
    socket.once("connect", () => {
      socket.off("error", done);
      done(undefined);
    });
    socket.connect({ host: ip, port });
  };
}
