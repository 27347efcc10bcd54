/**
 * The listening sockets of one pod: opens them, and sees to it that they, and nobody else's, are
 * what a redirected connection comes to.
 */
import fs from "node:fs";
import { formatSocketAddress, type IpAddress, parseIp } from "#common/model/ip.ts";
import { HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { LISTENER_BACKLOG } from "#ztunnel/limits.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { asCalledFrom, TCP_LISTENING, type TcpSocketInfo } from "#ztunnel/sys/tcp-diag.ts";
import { LISTENER_EVICTION_ATTEMPTS } from "./limits.ts";
import type { PodListeners } from "./listener-sink.ts";
import type { Problem } from "./pod-rules.ts";
import { isZtunnelMark, ZTUNNEL_MARK } from "./rules.ts";

const PORTS = {
  outbound: OUTBOUND_PORT,
  inboundPlaintext: INBOUND_PLAINTEXT_PORT,
  hbone: HBONE_PORT,
} as const;

/** What is wrong with a pod's listeners. */
export interface ListenerProblems {
  readonly problems: readonly Problem[];
  /** Whether some of ours no longer listen. */
  readonly lost: boolean;
  /** Sockets on our ports that are no ztunnel's: SO_REUSEPORT gives them a share of what comes. */
  readonly foreign: readonly TcpSocketInfo[];
  /** Whether a ztunnel listens there that came after this one. */
  readonly hasSuccessor: boolean;
}

/** Nothing is wrong, and nobody else is there. */
export const ALL_LISTEN: ListenerProblems = {
  problems: [],
  lost: false,
  foreign: [],
  hasSuccessor: false,
};

/** Listeners of this process, and of ztunnels that were there before it. */
export interface KnownListeners {
  readonly inodes: ReadonlySet<number>;
  readonly older: ReadonlySet<number>;
}

/** N listeners per port share it by SO_REUSEPORT; "::" takes IPv4 too. All or none are opened. */
export function openPodListeners(
  sys: Syscalls,
  netns: Netns,
  ipv6: boolean,
  workers: number,
): PodListeners {
  const ip = parseIp(ipv6 ? "::" : "0.0.0.0") as IpAddress;
  const opened: number[] = [];
  const open = (port: number) =>
    Array.from({ length: workers }, () => {
      const options = { ip, port, backlog: LISTENER_BACKLOG, reusePort: true, mark: ZTUNNEL_MARK };
      const fd = sys.listenTcp(options);
      opened.push(fd);
      return fd;
    });
  try {
    return sys.inNetns(netns, () => ({
      outbound: open(PORTS.outbound),
      inboundPlaintext: open(PORTS.inboundPlaintext),
      hbone: open(PORTS.hbone),
    }));
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}

/** What tells these very sockets from others, as long as they exist, whoever holds them then. */
export function socketInodes({ outbound, inboundPlaintext, hbone }: PodListeners): Set<number> {
  return new Set([...outbound, ...inboundPlaintext, ...hbone].map((fd) => fs.fstatSync(fd).ino));
}

/** The inodes of the listeners that ztunnels have in the namespace now. */
export function ztunnelListeners(sys: Syscalls, netlink: Netlink, netns: Netns): Set<number> {
  const ours = listenersOnOurPorts(sys, netlink, netns).filter(({ mark }) => isZtunnelMark(mark));
  return new Set(ours.map(({ inode }) => inode));
}

/** Another ztunnel's listeners (an older one that drains, say) are not foreign: they are marked. */
export function findListenerProblems(
  sys: Syscalls,
  netlink: Netlink,
  netns: Netns,
  { inodes, older }: KnownListeners,
): ListenerProblems {
  const listening = listenersOnOurPorts(sys, netlink, netns);
  const found = new Set(listening.map(({ inode }) => inode));
  const lost = [...inodes].filter((inode) => !found.has(inode)).length;
  const others = listening.filter(({ inode }) => !inodes.has(inode));
  const foreign = others.filter(({ mark }) => !isZtunnelMark(mark));
  const problems: Problem[] = [];
  if (lost > 0) {
    const found = `${lost} of ${inodes.size} listeners no longer listen`;
    problems.push({ reason: "listener-lost", found });
  }
  if (foreign.length > 0) {
    const ports = [...new Set(foreign.map(({ local }) => local.port))].join(", ");
    problems.push({ reason: "listener-taken", found: `another process listens on port ${ports}` });
  }
  const hasSuccessor = others.some(({ inode, mark }) => isZtunnelMark(mark) && !older.has(inode));
  return { problems, lost: lost > 0, foreign, hasSuccessor };
}

function listenersOnOurPorts(sys: Syscalls, netlink: Netlink, netns: Netns): TcpSocketInfo[] {
  const ports: ReadonlySet<number> = new Set(Object.values(PORTS));
  return sys
    .inNetns(netns, () => [...netlink.tcpSockets(TCP_LISTENING)].flat())
    .filter(({ local }) => ports.has(local.port));
}

/** Ends listeners that others have on our ports. Throws LISTENER_TAKEN where that does not work. */
export function evictListeners(
  sys: Syscalls,
  netlink: Netlink,
  netns: Netns,
  foreign: readonly TcpSocketInfo[],
): void {
  for (const socket of foreign) sys.inNetns(netns, () => evict(netlink, socket));
}

function evict(netlink: Netlink, { handle, local }: TcpSocketInfo): void {
  let code = "";
  // Among sockets that share a port the kernel finds one by the caller's address: others are tried.
  for (let port = 1; port <= LISTENER_EVICTION_ATTEMPTS; port++) {
    try {
      netlink.destroyTcp(asCalledFrom(handle, port));
      return;
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      code = error.code;
      if (code === "EOPNOTSUPP") break;
    }
  }
  const address = formatSocketAddress(local);
  throw new MeshError("LISTENER_TAKEN", `another process listens on ${address} too (${code})`, {
    hint: `end it: nsenter -t PID -n ss -ltnp 'sport = :${local.port}'`,
  });
}
