/**
 * Says that something changed in a network namespace: nftables rules, policy rules, routes,
 * addresses, links. What changed is not told: a look at the state is cheap, and the only thing to
 * trust.
 */
import { type Libc, onceReadable } from "./libc.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from "./netlink-socket.ts";

/** linux/netfilter/nfnetlink.h: NFNLGRP_NFTABLES is group 7. */
const NFTABLES_GROUPS = 1 << 6;
/**
 * linux/rtnetlink.h: link, IPv4 and IPv6 addresses, routes and rules. RTNLGRP_IPV6_RULE, which is
 * group 19, has no RTMGRP name.
 */
const ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | (1 << 18);
/** Datagrams read at one wake-up; what is left wakes again, after the pause. */
const DRAIN_MAX = 256;

export interface NamespaceMonitor {
  close(): void;
}

export interface MonitorOptions {
  /** Called from the event loop, at once after the first of several changes. */
  readonly onChange: () => void;
  /**
   * After a call the sockets are left alone for so long: whoever changes things without end costs
   * no more than one call in this time. What comes meanwhile makes a call after it.
   */
  readonly pauseMs: number;
}

/** Watches the namespace that the thread is in. Throws the errno, EMFILE for one. */
export function monitorNamespace(libc: Libc, options: MonitorOptions): NamespaceMonitor {
  const nftables = new NetlinkSocket(libc, NETLINK_NETFILTER, NFTABLES_GROUPS);
  let routes: NetlinkSocket;
  try {
    routes = new NetlinkSocket(libc, NETLINK_ROUTE, ROUTE_GROUPS);
  } catch (error) {
    nftables[Symbol.dispose]();
    throw error;
  }
  const watches = [new Watch(nftables, options), new Watch(routes, options)];
  return {
    close: () => {
      for (const watch of watches) watch.close();
    },
  };
}

class Watch {
  readonly #socket: NetlinkSocket;
  readonly #options: MonitorOptions;
  #poll: { close(): void } | undefined;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(socket: NetlinkSocket, options: MonitorOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#arm();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#pause);
    this.#poll?.close();
    this.#socket[Symbol.dispose]();
  }

  #arm(): void {
    this.#poll = onceReadable(this.#socket.fd, () => this.#readable());
  }

  #readable(): void {
    if (this.#closed) return;
    this.#poll = undefined;
    const changed = this.#socket.drain(DRAIN_MAX);
    this.#pause = setTimeout(() => this.#arm(), this.#options.pauseMs);
    this.#pause.unref();
    if (changed) this.#options.onChange();
  }
}
