/**
 * Removes connections from conntrack: the next packet of one is looked at by the nat rules as if it
 * were the first.
 */
import { type IpAddress, ipToBytes, isIpv6Address, type SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { AF_INET, AF_INET6, IPPROTO_TCP, type Libc } from "./libc.ts";
import { attribute, nested, uint16be } from "./netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./netlink-socket.ts";

/** linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h */
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_SRC = { ipv4: 1, ipv6: 3 } as const;
const CTA_IP_DST = { ipv4: 2, ipv6: 4 } as const;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

/** Whether there was an entry of a TCP connection that was opened from `from` to `to`. */
export function deleteConntrackEntry(libc: Libc, from: SocketAddress, to: SocketAddress): boolean {
  const family = isIpv6Address(from.ip) ? "ipv6" : "ipv4";
  const ip = (type: number, address: IpAddress) => attribute(type, ipToBytes(address));
  const tuple = nested(
    CTA_TUPLE_ORIG,
    nested(CTA_TUPLE_IP, ip(CTA_IP_SRC[family], from.ip), ip(CTA_IP_DST[family], to.ip)),
    nested(
      CTA_TUPLE_PROTO,
      attribute(CTA_PROTO_NUM, Buffer.of(IPPROTO_TCP)),
      attribute(CTA_PROTO_SRC_PORT, uint16be(from.port)),
      attribute(CTA_PROTO_DST_PORT, uint16be(to.port)),
    ),
  );
  const header = Buffer.of(family === "ipv6" ? AF_INET6 : AF_INET, 0, 0, 0);
  const type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
  using socket = new NetlinkSocket(libc, NETLINK_NETFILTER);
  try {
    socket.command({ type, flags: 0, payload: [header, tuple] });
    return true;
  } catch (error) {
    if (error instanceof MeshError && error.code === "ENOENT") return false;
    throw error;
  }
}
