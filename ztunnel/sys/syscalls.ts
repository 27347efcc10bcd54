/**
 * What Linux offers and Node does not: network namespaces, the original destination of a redirected
 * connection, socket marks and spoofed source addresses. All calls are synchronous and throw a
 * MeshError whose code is the errno name ("ENOENT", "EADDRINUSE", …).
 */
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";

/** An open network namespace. The descriptor keeps the namespace alive until it is closed. */
export interface Netns {
  readonly fd: number;
  /** Device and inode of the namespace: two handles are the same namespace if these are equal. */
  readonly id: string;
}

/** TCP keepalive: what finds out that a peer has vanished without a word. */
export interface Keepalive {
  readonly enabled: boolean;
  /** Seconds of silence before the first probe, and between probes. */
  readonly idleS: number;
  readonly intervalS: number;
  /** Unanswered probes after which the connection is over. */
  readonly probes: number;
  /** The same patience for data that is not acknowledged (TCP_USER_TIMEOUT). */
  readonly userTimeout: boolean;
}

/** Source: istio/ztunnel src/config.rs. */
export const DEFAULT_KEEPALIVE: Keepalive = {
  enabled: true,
  idleS: 180,
  intervalS: 180,
  probes: 9,
  userTimeout: false,
};

export interface ListenerOptions {
  /** "::" takes IPv4 too (mapped); "0.0.0.0" where the kernel has no IPv6. */
  readonly ip: IpAddress;
  readonly port: number;
  readonly backlog: number;
  /** SO_REUSEPORT: several workers, or an old and a new process, listen side by side. */
  readonly reusePort: boolean;
  /** SO_MARK on the listener, inherited by what it accepts. 0 for none. */
  readonly mark: number;
}

export interface ClientSocketOptions {
  readonly family: "ipv4" | "ipv6";
  /** SO_MARK, 0 for none. */
  readonly mark: number;
  /**
   * Bind to this address before connecting, even if it is not local (IP_TRANSPARENT, IP_FREEBIND).
   */
  readonly source?: IpAddress;
  /** False where `keepAlive` follows, should the connection last. @default true */
  readonly keepalive?: boolean;
}

export interface UdpSocketOptions {
  /** Bound to this address, and to no other family's. */
  readonly ip: IpAddress;
  /** 0 for one that the kernel chooses at random. */
  readonly port: number;
  /** SO_REUSEPORT: an old and a new process receive side by side. */
  readonly reusePort: boolean;
  /** SO_MARK, 0 for none. */
  readonly mark: number;
}

export interface Syscalls {
  /** Opens a namespace by path: /proc/PID/ns/net or a bind mount of one. */
  openNetns(path: string): Netns;
  closeNetns(netns: Netns): void;
  /**
   * Runs `action` with the calling thread inside the namespace. `action` must be synchronous. If
   * the way back fails the process aborts: it must never go on in a foreign namespace.
   */
  inNetns<Result>(netns: Netns, action: () => Result): Result;
  /**
   * A listening TCP socket in the current namespace; returns its descriptor for
   * `server.listen({fd})`.
   */
  listenTcp(options: ListenerOptions): number;
  /** An unconnected TCP socket in the current namespace, non-blocking, close-on-exec. */
  openTcpSocket(options: ClientSocketOptions): number;
  /** A bound UDP socket in the current namespace; its descriptor is for `dgram`'s `bind({fd})`. */
  openUdpSocket(options: UdpSocketOptions): number;
  /**
   * Where a datagram was sent before it was redirected, by the current namespace's conntrack table:
   * `client` is its sender, `local` the address at which it arrived. Undefined where none is known.
   */
  originalUdpDestination(client: SocketAddress, local: SocketAddress): SocketAddress | undefined;
  /** SO_ORIGINAL_DST of an accepted socket; undefined where conntrack knows none. */
  originalDestination(fd: number, family: "ipv4" | "ipv6"): SocketAddress | undefined;
  /** Sets keepalive on a TCP socket that was opened without; nothing where it is gone already. */
  keepAlive(fd: number): void;
  /** Closing this TCP socket will reset its connection, whatever is still queued (SO_LINGER 0). */
  resetOnClose(fd: number): void;
  /** Tells the peer of a TCP socket that no more follows; nothing where it is gone already. */
  shutdownWrites(fd: number): void;
  close(fd: number): void;
  /**
   * A number that grows with every change of the current namespace's nftables rules, whoever makes
   * it. As long as it stays the same, rules that were in place still are.
   */
  nftGeneration(): number;
}
