/**
 * `Syscalls` on Linux. An object belongs to the thread that made it: a network namespace is an
 * attribute of a thread, and so is the way back. Buffers are allocated once, because most of these
 * run for every proxied connection.
 */
import fs from "node:fs";
import type { SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { readOriginalDestination } from "./conntrack.ts";
import {
  AF_INET,
  AF_INET6,
  CLONE_NEWNET,
  errnoName,
  IP_BIND_ADDRESS_NO_PORT,
  IP_TRANSPARENT,
  IPV6_TRANSPARENT,
  IPV6_V6ONLY,
  type Libc,
  loadLibc,
  SHUT_WR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_MARK,
  SO_ORIGINAL_DST,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR_MAX_BYTES,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
  throwErrno,
} from "./libc.ts";
import { readNftGeneration } from "./nft-generation.ts";
import { readSocketAddress, writeSocketAddress } from "./socket-address.ts";
import {
  type ClientSocketOptions,
  DEFAULT_KEEPALIVE,
  type Keepalive,
  type ListenerOptions,
  type Netns,
  type Syscalls,
  type UdpSocketOptions,
} from "./syscalls.ts";

const STREAM_TYPE = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
const DATAGRAM_TYPE = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
const INT_BYTES = 4;
/** struct linger: on, for zero seconds. */
const LINGER_ZERO = Int32Array.of(1, 0);

/** The system calls of the calling thread; each worker makes its own. */
export function createLinuxSyscalls(keepalive: Keepalive = DEFAULT_KEEPALIVE): Syscalls {
  return new LinuxSyscalls(loadLibc(), keepalive);
}

class LinuxSyscalls implements Syscalls {
  readonly #libc: Libc;
  readonly #keepalive: Keepalive;
  /** The thread's own namespace, and the one it is in now (another inside `inNetns`). */
  readonly #homeFd: number;
  #currentFd: number;
  readonly #optionValue = new Int32Array(1);
  readonly #optionLength = new Int32Array(1);
  readonly #address = Buffer.alloc(SOCKADDR_MAX_BYTES);

  constructor(libc: Libc, keepalive: Keepalive) {
    this.#libc = libc;
    this.#keepalive = keepalive;
    this.#homeFd = fs.openSync("/proc/thread-self/ns/net", "r");
    this.#currentFd = this.#homeFd;
  }

  openNetns(path: string): Netns {
    const fd = openNamespaceFile(path);
    const { dev, ino } = fs.fstatSync(fd, { bigint: true });
    return { fd, id: `${dev}:${ino}` };
  }

  closeNetns(netns: Netns): void {
    this.close(netns.fd);
  }

  inNetns<Result>(netns: Netns, action: () => Result): Result {
    const previousFd = this.#currentFd;
    if (this.#libc.setns(netns.fd, CLONE_NEWNET) < 0) {
      throwErrno(`enter network namespace ${netns.id}`);
    }
    this.#currentFd = netns.fd;
    try {
      return action();
    } finally {
      if (this.#libc.setns(previousFd, CLONE_NEWNET) < 0) process.abort();
      this.#currentFd = previousFd;
    }
  }

  listenTcp(options: ListenerOptions): number {
    const { ip, port, backlog } = options;
    const isIpv6 = ip.includes(":");
    const fd = this.#socket(isIpv6 ? AF_INET6 : AF_INET);
    return this.#orClose(fd, () => {
      if (isIpv6) this.#setOption(fd, SOL_IPV6, IPV6_V6ONLY, 0);
      this.#setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (options.reusePort) this.#setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      if (options.mark !== 0) this.#setOption(fd, SOL_SOCKET, SO_MARK, options.mark);
      // Accepted sockets inherit these: no system call per connection. Without Nagle, or a small
      // message would wait 40 ms for an acknowledgement.
      this.#setOption(fd, SOL_TCP, TCP_NODELAY, 1);
      this.#setKeepalive(fd);
      const length = writeSocketAddress(this.#address, ip, port);
      if (this.#libc.bind(fd, this.#address, length) < 0) throwErrno(`bind ${ip} port ${port}`);
      if (this.#libc.listen(fd, backlog) < 0) throwErrno(`listen on ${ip} port ${port}`);
    });
  }

  openTcpSocket(options: ClientSocketOptions): number {
    const isIpv6 = options.family === "ipv6";
    const fd = this.#socket(isIpv6 ? AF_INET6 : AF_INET);
    return this.#orClose(fd, () => {
      if (options.mark !== 0) this.#setOption(fd, SOL_SOCKET, SO_MARK, options.mark);
      this.#setOption(fd, SOL_TCP, TCP_NODELAY, 1);
      if (options.keepalive !== false) this.#setKeepalive(fd);
      if (options.source === undefined) return;
      // IP_TRANSPARENT alone also lets the socket bind to a foreign address: IP_FREEBIND adds
      // nothing.
      if (isIpv6) this.#setOption(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
      else this.#setOption(fd, SOL_IP, IP_TRANSPARENT, 1);
      // The port is chosen at connect, by the whole four-tuple: 28,000 ports per destination, not
      // in all.
      this.#setOption(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      const length = writeSocketAddress(this.#address, options.source, 0);
      if (this.#libc.bind(fd, this.#address, length) < 0) {
        throwErrno(`bind source address ${options.source}`);
      }
    });
  }

  openUdpSocket({ ip, port, reusePort, mark }: UdpSocketOptions): number {
    const isIpv6 = ip.includes(":");
    const fd = this.#socket(isIpv6 ? AF_INET6 : AF_INET, DATAGRAM_TYPE);
    return this.#orClose(fd, () => {
      if (isIpv6) this.#setOption(fd, SOL_IPV6, IPV6_V6ONLY, 1);
      if (reusePort) this.#setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
      if (mark !== 0) this.#setOption(fd, SOL_SOCKET, SO_MARK, mark);
      const length = writeSocketAddress(this.#address, ip, port);
      if (this.#libc.bind(fd, this.#address, length) < 0) throwErrno(`bind ${ip} port ${port}`);
    });
  }

  originalUdpDestination(client: SocketAddress, local: SocketAddress): SocketAddress | undefined {
    return readOriginalDestination(this.#libc, client, local);
  }

  originalDestination(fd: number, family: "ipv4" | "ipv6"): SocketAddress | undefined {
    if (family === "ipv4") return this.#originalDestinationAt(fd, SOL_IP);
    // An IPv4 connection on a dual-stack socket is known to IPv4's conntrack only.
    return this.#originalDestinationAt(fd, SOL_IPV6) ?? this.#originalDestinationAt(fd, SOL_IP);
  }

  keepAlive(fd: number): void {
    if (fd >= 0) this.#setKeepalive(fd);
  }

  resetOnClose(fd: number): void {
    const length = LINGER_ZERO.byteLength;
    if (this.#libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_ZERO, length) < 0) {
      throwErrno(`setsockopt SO_LINGER of descriptor ${fd}`);
    }
  }

  shutdownWrites(fd: number): void {
    // Fails only where the connection is gone (ENOTCONN), which reading and writing tell as well.
    this.#libc.shutdown(fd, SHUT_WR);
  }

  close(fd: number): void {
    if (this.#libc.close(fd) < 0) throwErrno(`close descriptor ${fd}`);
  }

  nftGeneration(): number {
    return readNftGeneration(this.#libc);
  }

  #originalDestinationAt(fd: number, level: number): SocketAddress | undefined {
    this.#optionLength[0] = SOCKADDR_MAX_BYTES;
    const { getsockopt } = this.#libc;
    if (getsockopt(fd, level, SO_ORIGINAL_DST, this.#address, this.#optionLength) < 0) {
      const code = errnoName();
      // No conntrack entry; no conntrack in this namespace; not a socket of that family.
      if (code === "ENOENT" || code === "ENOPROTOOPT" || code === "EOPNOTSUPP") return undefined;
      throwErrno(`getsockopt SO_ORIGINAL_DST of descriptor ${fd}`);
    }
    return readSocketAddress(this.#address);
  }

  #setKeepalive(fd: number): void {
    const { enabled, idleS, intervalS, probes, userTimeout } = this.#keepalive;
    if (!enabled) return;
    this.#setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    this.#setOption(fd, SOL_TCP, TCP_KEEPIDLE, idleS);
    this.#setOption(fd, SOL_TCP, TCP_KEEPINTVL, intervalS);
    this.#setOption(fd, SOL_TCP, TCP_KEEPCNT, probes);
    if (!userTimeout) return;
    this.#setOption(fd, SOL_TCP, TCP_USER_TIMEOUT, (idleS + intervalS * probes) * 1000);
  }

  #socket(family: number, type = STREAM_TYPE): number {
    const fd = this.#libc.socket(family, type, 0);
    return fd < 0 ? throwErrno("socket") : fd;
  }

  #setOption(fd: number, level: number, name: number, value: number): void {
    this.#optionValue[0] = value;
    if (this.#libc.setsockopt(fd, level, name, this.#optionValue, INT_BYTES) < 0) {
      throwErrno(`setsockopt level ${level} option ${name}`);
    }
  }

  #orClose(fd: number, configure: () => void): number {
    try {
      configure();
      return fd;
    } catch (error) {
      this.#libc.close(fd);
      throw error;
    }
  }
}

function openNamespaceFile(path: string): number {
  try {
    return fs.openSync(path, "r");
  } catch (error) {
    throw toMeshError(`open network namespace ${path}`, error as NodeJS.ErrnoException);
  }
}

function toMeshError(what: string, cause: NodeJS.ErrnoException): MeshError {
  const code = cause.code ?? "EIO";
  return new MeshError(code, `${what} failed: ${code}`, { cause });
}
