/**
 * The sockets on which ztunnel takes a pod's DNS. They are bound to the loopback addresses: what is
 * redirected goes there, answers have to come from there, and nobody else can ask.
 */
import type { IpAddress } from "#common/model/ip.ts";
import { DNS_PROXY_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import { LISTENER_BACKLOG } from "../limits.ts";
import { ZTUNNEL_MARK } from "../proxy/dial.ts";

/** Bound sockets of one address of the pod's loopback interface; the TCP one listens. */
export interface DnsListener {
  readonly ip: IpAddress;
  readonly udp: number;
  readonly tcp: number;
}

const IPV4_LOOPBACK = "127.0.0.1" as IpAddress;
const IPV6_LOOPBACK = "::1" as IpAddress;
/** A kernel or namespace without IPv6 has no such address, or no such family. */
const NO_IPV6 = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** All or none are opened; IPv6 only where the namespace has it. Throws what the kernel refuses. */
export function openDnsListeners(sys: Syscalls, netns: Netns): readonly DnsListener[] {
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  const open = (ip: IpAddress): DnsListener => {
    const options = { ip, port: DNS_PROXY_PORT, reusePort: true, mark: ZTUNNEL_MARK };
    const tcp = keep(sys.listenTcp({ ...options, backlog: LISTENER_BACKLOG }));
    return { ip, tcp, udp: keep(sys.openUdpSocket(options)) };
  };
  try {
    return sys.inNetns(netns, () => [
      open(IPV4_LOOPBACK),
      ...ifAvailable(() => open(IPV6_LOOPBACK)),
    ]);
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}

function ifAvailable(open: () => DnsListener): readonly DnsListener[] {
  try {
    return [open()];
  } catch (error) {
    if (error instanceof MeshError && NO_IPV6.has(error.code)) return [];
    throw error;
  }
}
