/** The sockets that ztunnel listens on inside a pod. */
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from "#common/model/ports.ts";
import { LISTENER_BACKLOG } from "#ztunnel/limits.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import type { PodListeners } from "./listener-sink.ts";
import { ZTUNNEL_MARK } from "./rules.ts";

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
      outbound: open(OUTBOUND_PORT),
      inboundPlaintext: open(INBOUND_PLAINTEXT_PORT),
      hbone: open(HBONE_PORT),
    }));
  } catch (error) {
    for (const fd of opened) sys.close(fd);
    throw error;
  }
}
