/** A connection that is made from another network namespace than the process's own. */
import { Socket, type SocketConstructorOpts } from "node:net";
import type { IpAddress } from "#common/model/ip.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

/** A socket of that namespace, on its way to the address. */
export function connectFrom(sys: Syscalls, netns: Netns, ip: IpAddress, port: number): Socket {
  const family = ip.includes(":") ? "ipv6" : "ipv4";
  const fd = sys.inNetns(netns, () => sys.openTcpSocket({ family, mark: 0 }));
  // manualStart keeps Node from reading a socket that is not connected yet; it has no type of its
  // own.
  const socket = new Socket({ fd, manualStart: true } as SocketConstructorOpts);
  return socket.connect({ host: ip, port });
}
