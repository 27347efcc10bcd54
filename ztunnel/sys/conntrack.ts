/**
 * Where a redirected datagram was meant to go, by netlink from the conntrack table of the current
 * namespace: what SO_ORIGINAL_DST is for TCP. One question, one answer, microseconds.
 */
import { ipFromBytes, ipToBytes, type SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { AF_INET, AF_INET6, IPPROTO_UDP, type Libc } from "./libc.ts";
import { attribute, findAttribute, nested, uint16be } from "./netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./netlink-socket.ts";

/** linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_conntrack.h */
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
/** struct nfgenmsg. */
const NFGENMSG_BYTES = 4;
/** No such flow; a kernel without conntrack netlink; one that was built without conntrack. */
const UNKNOWN = new Set(["ENOENT", "EINVAL", "EOPNOTSUPP", "EPROTONOSUPPORT"]);

/**
 * The destination of the flow whose replies go from `local` to `client`. Undefined where there is
 * no such flow, and where the kernel cannot say. Throws what else goes wrong.
 */
export function readOriginalDestination(
  libc: Libc,
  client: SocketAddress,
  local: SocketAddress,
): SocketAddress | undefined {
  using socket = new NetlinkSocket(libc, NETLINK_NETFILTER);
  const header = Buffer.alloc(NFGENMSG_BYTES);
  header[0] = client.ip.includes(":") ? AF_INET6 : AF_INET;
  const payload = [header, replyTuple(client, local)];
  try {
    const type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
    return originalDestinationIn(socket.ask({ type, flags: 0, payload }).payload);
  } catch (error) {
    if (error instanceof MeshError && UNKNOWN.has(error.code)) return undefined;
    throw error;
  }
}

function replyTuple(client: SocketAddress, local: SocketAddress): Buffer {
  const isIpv6 = client.ip.includes(":");
  return nested(
    CTA_TUPLE_REPLY,
    nested(
      CTA_TUPLE_IP,
      attribute(isIpv6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, ipToBytes(local.ip)),
      attribute(isIpv6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, ipToBytes(client.ip)),
    ),
    nested(
      CTA_TUPLE_PROTO,
      attribute(CTA_PROTO_NUM, Uint8Array.of(IPPROTO_UDP)),
      attribute(CTA_PROTO_SRC_PORT, uint16be(local.port)),
      attribute(CTA_PROTO_DST_PORT, uint16be(client.port)),
    ),
  );
}

/** The destination of the original direction in a conntrack entry. */
function originalDestinationIn(entry: Buffer): SocketAddress | undefined {
  const tuple = findAttribute(entry, NFGENMSG_BYTES, CTA_TUPLE_ORIG);
  const address = tuple && findAttribute(tuple, 0, CTA_TUPLE_IP);
  const protocol = tuple && findAttribute(tuple, 0, CTA_TUPLE_PROTO);
  if (address === undefined || protocol === undefined) return undefined;
  const bytes =
    findAttribute(address, 0, CTA_IP_V4_DST) ?? findAttribute(address, 0, CTA_IP_V6_DST);
  const port = findAttribute(protocol, 0, CTA_PROTO_DST_PORT);
  const ip = bytes && ipFromBytes(bytes);
  if (ip === undefined || port?.length !== 2) return undefined;
  return { ip, port: port.readUInt16BE(0) };
}
