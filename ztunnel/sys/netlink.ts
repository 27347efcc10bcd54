/**
 * What a namespace is asked through netlink. All calls are about the namespace that the thread is
 * in (`Syscalls.inNetns`), synchronous unless said otherwise, and throw a MeshError whose code is
 * the errno name.
 */
import type { IpAddress, SocketAddress } from "#common/model/ip.ts";
import { deleteConntrackEntry } from "./conntrack-entry.ts";
import { loadLibc } from "./libc.ts";
import { type MonitorOptions, monitorNamespace, type NamespaceMonitor } from "./netlink-monitor.ts";
import { type NftTable, readNftTable } from "./nft-tables.ts";
import { addPolicyRoute, type PolicyRoute, removePolicyRoute } from "./policy-route.ts";
import { lookUpRoute, type RouteLookup } from "./route-lookup.ts";
import { destroyTcp, readTcpSockets, type TcpSocketInfo } from "./tcp-diag.ts";

export interface Netlink {
  /** The table of family inet; undefined if there is none of that name. */
  nftTable(name: string): NftTable | undefined;
  /** Where a packet that the namespace itself sends with this mark would go. */
  route(to: IpAddress, mark: number): RouteLookup | undefined;
  /** Puts rule and route in place; what is there already stays. */
  addPolicyRoute(route: PolicyRoute): void;
  /** Succeeds where there is nothing to remove. */
  removePolicyRoute(route: PolicyRoute): void;
  /**
   * Sockets in these states (`TCP_LISTENING`, `TCP_CONNECTION_STATES`), in pieces. It is the
   * namespace of this call that is read, wherever the thread is when it asks for a piece.
   */
  tcpSockets(states: number): Generator<TcpSocketInfo[]>;
  /** Resets a connection or ends a listener. Throws EOPNOTSUPP where the kernel cannot. */
  destroyTcp(socket: TcpSocketInfo["handle"]): void;
  /** Whether conntrack knew a TCP connection opened from one address to the other. */
  deleteConntrackEntry(from: SocketAddress, to: SocketAddress): boolean;
  monitor(options: MonitorOptions): NamespaceMonitor;
}

export function createNetlink(): Netlink {
  const libc = loadLibc();
  return {
    nftTable: (name) => readNftTable(libc, name),
    route: (to, mark) => lookUpRoute(libc, to, mark),
    addPolicyRoute: (route) => addPolicyRoute(libc, route),
    removePolicyRoute: (route) => removePolicyRoute(libc, route),
    tcpSockets: (states) => readTcpSockets(libc, states),
    destroyTcp: (socket) => destroyTcp(libc, socket),
    deleteConntrackEntry: (from, to) => deleteConntrackEntry(libc, from, to),
    monitor: (options) => monitorNamespace(libc, options),
  };
}
