/**
 * The addresses that a network namespace holds, from the kernel's own tables. Not from
 * `os.networkInterfaces()`: that leaves an interface out until its carrier is reported, up to a
 * second after a pod has got its address.
 */
import fs from "node:fs";
import { type IpAddress, ipFromBytes, parseIp } from "#common/model/ip.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

/** A leaf of the IPv4 routing table and its kinds; local addresses have `/32 host LOCAL`. */
const IPV4_LEAF = /\|-- ([0-9.]+)\n((?: +\/.*\n)+)/g;

/** Every address of every interface that is up, loopback ones left out. */
export function addressesIn(sys: Syscalls, netns: Netns): ReadonlySet<IpAddress> {
  const [routes, ipv6] = sys.inNetns(netns, () => [read("fib_trie"), read("if_inet6")]);
  const addresses = new Set<IpAddress>();
  for (const [, text = "", kinds = ""] of (routes ?? "").matchAll(IPV4_LEAF)) {
    const ip = kinds.includes("/32 host LOCAL") ? parseIp(text) : undefined;
    if (ip !== undefined && !ip.startsWith("127.")) addresses.add(ip);
  }
  for (const line of (ipv6 ?? "").split("\n")) {
    const ip = ipFromBytes(Buffer.from(line.slice(0, 32), "hex"));
    if (ip !== undefined && ip !== "::1") addresses.add(ip);
  }
  return addresses;
}

/** "" where the kernel has no such table, as without IPv6. */
function read(table: string): string {
  const file = `/proc/thread-self/net/${table}`;
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
}
