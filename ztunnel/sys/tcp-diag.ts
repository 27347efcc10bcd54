/** The TCP sockets of a namespace as the kernel lists them, and the end of one from outside. */
import { type IpAddress, ipFromBytes, ipToBytes, type SocketAddress } from "#common/model/ip.ts";
import { AF_INET, AF_INET6, IPPROTO_TCP, type Libc } from "./libc.ts";
import { findAttribute, type NetlinkMessage } from "./netlink-message.ts";
import { NETLINK_SOCK_DIAG, NetlinkSocket } from "./netlink-socket.ts";

/** linux/sock_diag.h, inet_diag.h */
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const INET_DIAG_MARK = 15;
/** struct inet_diag_req_v2, and where its struct inet_diag_sockid is; struct inet_diag_msg. */
const REQUEST_BYTES = 56;
const REQUEST_ID = 8;
const MESSAGE_BYTES = 72;
const MESSAGE_ID = 4;
const MESSAGE_INODE = 68;
const ID_BYTES = 48;
/** Inside struct inet_diag_sockid. */
const ID_DPORT = 2;
const ID_SRC = 4;
const ID_DST = 20;
const ID_COOKIE = 40;

/** net/tcp_states.h: those of connections on which bytes can still move, or will. */
const ESTABLISHED = 1;
const SYN_SENT = 2;
const SYN_RECV = 3;
const FIN_WAIT1 = 4;
const FIN_WAIT2 = 5;
const CLOSE_WAIT = 8;
const LISTEN = 10;
export const TCP_CONNECTION_STATES = [
  ...[ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT],
].reduce((bits, state) => bits | (1 << state), 0);
export const TCP_LISTENING = 1 << LISTEN;

export interface TcpSocketInfo {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** SO_MARK; 0 also without CAP_NET_ADMIN. */
  readonly mark: number;
  /** As `fstat` gives it for the descriptor; 0 for a socket that nobody holds. */
  readonly inode: number;
  /** One of its kind in the namespace, for as long as it exists. */
  readonly cookie: string;
  /** What `destroyTcp` needs. */
  readonly handle: { readonly family: number; readonly id: Buffer };
}

/**
 * In pieces, each a moment's work: a long list need not hold up others. It is the namespace of the
 * call that is read, whenever the pieces are asked for. To be read
 * from its beginning on: a list that nobody begins to read keeps its socket.
 */
export function readTcpSockets(libc: Libc, states: number): Generator<TcpSocketInfo[]> {
  return pieces(new NetlinkSocket(libc, NETLINK_SOCK_DIAG), states);
}

function* pieces(own: NetlinkSocket, states: number): Generator<TcpSocketInfo[]> {
  using socket = own;
  for (const family of [AF_INET, AF_INET6]) {
    const payload = [request(family, states)];
    for (const messages of socket.dump({ type: SOCK_DIAG_BY_FAMILY, flags: 0, payload })) {
      yield messages.flatMap((message) => parseSocket(message) ?? []);
    }
  }
}

/**
 * Ends a connection, or a listener, as if it had been reset: its owner gets ECONNABORTED. Throws
 * ENOENT where it is gone, EOPNOTSUPP where the kernel was built without CONFIG_INET_DIAG_DESTROY.
 */
export function destroyTcp(libc: Libc, { family, id }: TcpSocketInfo["handle"]): void {
  using socket = new NetlinkSocket(libc, NETLINK_SOCK_DIAG);
  const message = request(family, 0);
  message.set(id, REQUEST_ID);
  socket.command({ type: SOCK_DESTROY, flags: 0, payload: [message] });
}

/**
 * The same listener, to be found among others of its port: which of them a look-up takes depends on
 * where a connection would come from.
 */
export function asCalledFrom({ family, id }: TcpSocketInfo["handle"], port: number) {
  const called = Buffer.from(id);
  called.writeUInt16BE(port, ID_DPORT);
  return { family, id: called };
}

function request(family: number, states: number): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes[0] = family;
  bytes[1] = IPPROTO_TCP;
  bytes.writeUInt32LE(states, 4);
  return bytes;
}

function parseSocket({ type, payload }: NetlinkMessage): TcpSocketInfo | undefined {
  if (type !== SOCK_DIAG_BY_FAMILY || payload.length < MESSAGE_BYTES) return undefined;
  const family = payload[0] ?? 0;
  const id = Buffer.from(payload.subarray(MESSAGE_ID, MESSAGE_ID + ID_BYTES));
  const length = family === AF_INET ? 4 : 16;
  const address = (at: number) => ipFromBytes(id.subarray(at, at + length)) ?? NO_ADDRESS;
  return {
    local: { ip: address(ID_SRC), port: id.readUInt16BE(0) },
    remote: { ip: address(ID_DST), port: id.readUInt16BE(ID_DPORT) },
    mark: findAttribute(payload, MESSAGE_BYTES, INET_DIAG_MARK)?.readUInt32LE(0) ?? 0,
    inode: payload.readUInt32LE(MESSAGE_INODE),
    cookie: id.toString("hex", ID_COOKIE),
    handle: { family, id },
  };
}

/** Never used: both lengths are those of addresses. */
const NO_ADDRESS = ipFromBytes(ipToBytes("0.0.0.0" as IpAddress)) as IpAddress;
