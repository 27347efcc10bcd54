/**
 * TCP connections of a pod that pass its ztunnel by. Those that stood before the pod was captured
 * may go on to their end. Those that were opened while its rules were lost must not: conntrack has
 * taken them for uncaptured, so they would go on in plaintext after the rules are back.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { formatSocketAddress, type IpAddress } from "#common/model/ip.ts";
import { DNS_PROXY_PORT, OUTBOUND_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { TCP_CONNECTION_STATES, TCP_LISTENING, type TcpSocketInfo } from "#ztunnel/sys/tcp-diag.ts";
import { CONNECTIONS_ENDED_PER_TURN, UNCAPTURED_CONNECTIONS_KEPT } from "./limits.ts";
import { addressesIn } from "./netns-addresses.ts";
import { isZtunnelMark, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6 } from "./rules.ts";

const PROBE_SOURCES: ReadonlySet<string> = new Set([PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6]);
/** Where a redirected connection of the pod's own comes out. */
const REDIRECTED_TO: ReadonlySet<number> = new Set([OUTBOUND_PORT, DNS_PROXY_PORT]);

export class UncapturedConnections {
  readonly netnsId: string;
  readonly #sys: Syscalls;
  readonly #netlink: Netlink;
  /** Cookies of those that may go on. */
  #kept: ReadonlySet<string> = new Set();
  #areKnown = false;

  /** `netnsId`: of the one namespace whose connections these are, through whatever handle. */
  constructor(sys: Syscalls, netlink: Netlink, netnsId: string) {
    this.netnsId = netnsId;
    this.#sys = sys;
    this.#netlink = netlink;
  }

  /**
   * Whether the pod has been captured in this namespace: what comes later has no right to go on.
   */
  get areKnown(): boolean {
    return this.#areKnown;
  }

  /**
   * Those that stand now may go on, if this is the first time. Returns how many are ended: none.
   */
  async keep(netns: Netns, pod: CapturedPod): Promise<0> {
    if (this.#areKnown) return 0;
    const all = (await this.#find(netns, pod)).map(({ cookie }) => cookie);
    this.#kept = new Set(all.slice(0, UNCAPTURED_CONNECTIONS_KEPT));
    this.#areKnown = true;
    return 0;
  }

  /**
   * Ends all that may not go on; returns how many that were. Throws what the kernel has against it.
   */
  async end(netns: Netns, pod: CapturedPod): Promise<number> {
    this.#areKnown = true;
    // A list is no snapshot: of a new connection it may show one end and not the other.
    const suspects = new Set((await this.#find(netns, pod)).map(({ cookie }) => cookie));
    if (suspects.size === 0) return 0;
    const all = (await this.#find(netns, pod)).filter(({ cookie }) => suspects.has(cookie));
    const kept = all.filter(({ cookie }) => this.#kept.has(cookie));
    this.#kept = new Set(kept.map(({ cookie }) => cookie));
    const doomed = all.filter(({ cookie }) => !this.#kept.has(cookie));
    for (let at = 0; at < doomed.length; at += CONNECTIONS_ENDED_PER_TURN) {
      const some = doomed.slice(at, at + CONNECTIONS_ENDED_PER_TURN);
      this.#sys.inNetns(netns, () => {
        for (const socket of some) endConnection(this.#netlink, socket);
      });
      await nextTurn();
    }
    return doomed.length;
  }

  async #find(netns: Netns, pod: CapturedPod): Promise<TcpSocketInfo[]> {
    const sockets = await this.#read(netns, TCP_CONNECTION_STATES);
    const listening = pod.bypassInboundCapture ? await this.#read(netns, TCP_LISTENING) : [];
    return findUncaptured(sockets, {
      ownAddresses: addressesIn(this.#sys, netns),
      openPorts: new Set(listening.map(({ local }) => local.port)),
    });
  }

  async #read(netns: Netns, states: number): Promise<TcpSocketInfo[]> {
    const all: TcpSocketInfo[] = [];
    const pieces = this.#sys.inNetns(netns, () => this.#netlink.tcpSockets(states));
    for (const piece of pieces) {
      all.push(...piece);
      await nextTurn();
    }
    return all;
  }
}

export interface Surroundings {
  readonly ownAddresses: ReadonlySet<IpAddress>;
  /** Ports whose inbound connections are not captured. */
  readonly openPorts: ReadonlySet<number>;
}

/** Those of the sockets that the rules would have redirected, and that no ztunnel has an end of. */
export function findUncaptured(
  sockets: readonly TcpSocketInfo[],
  { ownAddresses, openPorts }: Surroundings,
): TcpSocketInfo[] {
  const captured = new Set<string>();
  for (const { mark, local, remote } of sockets) {
    if (!isZtunnelMark(mark)) continue;
    const app = formatSocketAddress(remote);
    captured.add(REDIRECTED_TO.has(local.port) ? app : `${app} ${formatSocketAddress(local)}`);
  }
  const isInside = ({ ip }: TcpSocketInfo["remote"]) =>
    ip === "::1" || ip.startsWith("127.") || ownAddresses.has(ip) || PROBE_SOURCES.has(ip);
  return sockets.filter(({ mark, local, remote }) => {
    if (isZtunnelMark(mark) || isInside(remote) || openPorts.has(local.port)) return false;
    const app = formatSocketAddress(local);
    return !captured.has(app) && !captured.has(`${app} ${formatSocketAddress(remote)}`);
  });
}

/** Resets it, or at least has its next packet redirected. Throws what else the kernel says. */
export function endConnection(netlink: Netlink, { handle, local, remote }: TcpSocketInfo): void {
  try {
    netlink.destroyTcp(handle);
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    // It has ended by itself, or another of its address has taken its place.
    if (error.code === "ENOENT" || error.code === "ESTALE") return;
    if (error.code !== "EOPNOTSUPP") throw error;
    // Whichever way it was opened: its next packet is redirected, and answered by a reset.
    netlink.deleteConntrackEntry(local, remote);
    netlink.deleteConntrackEntry(remote, local);
  }
}
