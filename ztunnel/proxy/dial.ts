/**
 * Opens TCP connections from inside a pod's network namespace, with ztunnel's mark and a time
 * limit.
 */
import type net from "node:net";
import { formatSocketAddress, type IpAddress, type SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { CONNECT_TIMEOUT_MS } from "../limits.ts";
import { type ConnectionFailure, failure } from "./failure.ts";
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
}

export class Dialer {
  readonly #syscalls: Syscalls;
  readonly #tcp: TcpContext;

  constructor(syscalls: Syscalls, tcp: TcpContext) {
    this.#syscalls = syscalls;
    this.#tcp = tcp;
  }

  /** A connected end that reads nothing yet. */
  async connectEnd(request: DialRequest): Promise<TcpEnd | ConnectionFailure> {
    const fd = this.#open(request);
    if (typeof fd !== "number") return fd;
    const end = TcpEnd.connecting(fd, this.#tcp);
    return (await connected(end.socket, request.address)) ?? end;
  }

  /** A connected plain Socket, for TLS on top. */
  async connectSocket(request: DialRequest): Promise<net.Socket | ConnectionFailure> {
    const fd = this.#open(request);
    if (typeof fd !== "number") return fd;
    const socket = adoptDescriptor(fd);
    return (await connected(socket, request.address)) ?? socket;
  }

  #open({ netns, address, source }: DialRequest): number | ConnectionFailure {
    const family = address.ip.includes(":") ? "ipv6" : "ipv4";
    const sameFamily = source !== undefined && source.includes(":") === (family === "ipv6");
    try {
      return this.#syscalls.inNetns(netns, () =>
        this.#syscalls.openTcpSocket({
          family,
          mark: ZTUNNEL_MARK,
          ...(sameFamily && { source }),
        }),
      );
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const reason = error.code === "EMFILE" ? "limit-reached" : "connect-failed";
      return failure(reason, `no socket for ${formatSocketAddress(address)}: ${error.message}`);
    }
  }
}

/** Waits for the connection; undefined when it stands. */
function connected(
  socket: net.Socket,
  address: SocketAddress,
): Promise<ConnectionFailure | undefined> {
  return new Promise((resolve) => {
    const target = formatSocketAddress(address);
    const timer = setTimeout(() => {
      finish(failure("connect-timeout", `connection to ${target} timed out`, { retriable: true }));
      socket.destroy();
    }, CONNECT_TIMEOUT_MS);
    const onError = (error: Error): void =>
      finish(
        failure("connect-failed", `connection to ${target} failed: ${error.message}`, {
          retriable: true,
        }),
      );
    const finish = (result: ConnectionFailure | undefined): void => {
      clearTimeout(timer);
      socket.off("connect", onConnect);
      if (result === undefined) socket.off("error", onError);
      resolve(result);
    };
    const onConnect = (): void => finish(undefined);
    socket.once("connect", onConnect);
    socket.on("error", onError);
    socket.connect({ host: address.ip, port: address.port });
  });
}
