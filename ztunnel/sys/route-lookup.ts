/**
 * Where the kernel would send a packet with a mark: the rules and routes at work, in one answer.
 */
import type { IpAddress } from "#common/model/ip.ts";
import { ipToBytes } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { AF_INET, AF_INET6, type Libc } from "./libc.ts";
import { attribute, findAttribute, uint32 } from "./netlink-message.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink-socket.ts";

/** linux/rtnetlink.h */
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_TABLE = 15;
const RTA_MARK = 16;
const RTN_LOCAL = 2;
/** The answer names the table that the route is really in. */
const RTM_F_LOOKUP_TABLE = 0x1000;
/** struct rtmsg. */
const RTMSG_BYTES = 12;
const UNROUTED = new Set(["ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL", "ESRCH"]);

export interface RouteLookup {
  readonly table: number;
  /** Whether the packet would be delivered on this machine. */
  readonly local: boolean;
}

/** Undefined where there is no route; throws what else the kernel has to say. */
export function lookUpRoute(libc: Libc, to: IpAddress, mark: number): RouteLookup | undefined {
  using socket = new NetlinkSocket(libc, NETLINK_ROUTE);
  const address = ipToBytes(to);
  const header = Buffer.alloc(RTMSG_BYTES);
  header[0] = address.length === 4 ? AF_INET : AF_INET6;
  header[1] = address.length * 8;
  header.writeUInt32LE(RTM_F_LOOKUP_TABLE, 8);
  const payload = [header, attribute(RTA_DST, address), attribute(RTA_MARK, uint32(mark))];
  try {
    const answer = socket.ask({ type: RTM_GETROUTE, flags: 0, payload }).payload;
    const table = findAttribute(answer, RTMSG_BYTES, RTA_TABLE)?.readUInt32LE(0) ?? answer[4] ?? 0;
    return { table, local: answer[7] === RTN_LOCAL };
  } catch (error) {
    if (error instanceof MeshError && UNROUTED.has(error.code)) return undefined;
    throw error;
  }
}
