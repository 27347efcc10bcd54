/**
 * A policy route: packets with a mark are looked up in a table of their own, whose one route
 * delivers everything to this very namespace. What `ip rule add fwmark` and `ip route replace local
 * default dev lo table` do, without a process.
 */
import { MeshError } from "#common/runtime/errors.ts";
import { AF_INET, AF_INET6, type Libc } from "./libc.ts";
import { attribute, uint32 } from "./netlink-message.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink-socket.ts";

export interface PolicyRoute {
  readonly family: "ipv4" | "ipv6";
  readonly mark: number;
  readonly markMask: number;
  /** Of the rule; lower ones come first. */
  readonly priority: number;
  /** Up to 252: those beyond have names of their own. */
  readonly table: number;
}

/** linux/rtnetlink.h, linux/fib_rules.h, linux/netlink.h */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const RTA_OIF = 4;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_FWMASK = 16;
const FR_ACT_TO_TBL = 1;
const RTN_LOCAL = 2;
const RT_SCOPE_HOST = 254;
/** As ip sets it: put there by an administrator. */
const RTPROT_BOOT = 3;
/** struct rtmsg and struct fib_rule_hdr. */
const HEADER_BYTES = 12;
/** The loopback interface is the first of every network namespace. */
const LOOPBACK_INDEX = 1;
/** Nothing to delete, or no IPv6. */
const ABSENT = new Set(["ENOENT", "ESRCH", "ENODEV", "EAFNOSUPPORT", "EOPNOTSUPP", "EINVAL"]);

/** Throws what the kernel refused with; a rule or route that is there already is fine. */
export function addPolicyRoute(libc: Libc, route: PolicyRoute): void {
  using socket = new NetlinkSocket(libc, NETLINK_ROUTE);
  const flags = NLM_F_CREATE | NLM_F_REPLACE;
  socket.command({ type: RTM_NEWROUTE, flags, payload: localRoute(route) });
  try {
    const payload = ruleOf(route);
    socket.command({ type: RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, payload });
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "EEXIST") throw error;
  }
}

/** What is not there need not be removed. */
export function removePolicyRoute(libc: Libc, route: PolicyRoute): void {
  using socket = new NetlinkSocket(libc, NETLINK_ROUTE);
  for (const [type, payload] of [
    [RTM_DELRULE, ruleOf(route)],
    [RTM_DELROUTE, localRoute(route)],
  ] as const) {
    try {
      socket.command({ type, flags: 0, payload });
    } catch (error) {
      if (!(error instanceof MeshError) || !ABSENT.has(error.code)) throw error;
    }
  }
}

function localRoute({ family, table }: PolicyRoute): Buffer[] {
  const header = headerOf(family, table);
  header[5] = RTPROT_BOOT;
  header[6] = family === "ipv4" ? RT_SCOPE_HOST : 0;
  header[7] = RTN_LOCAL;
  return [header, attribute(RTA_OIF, uint32(LOOPBACK_INDEX))];
}

function ruleOf({ family, table, mark, markMask, priority }: PolicyRoute): Buffer[] {
  const header = headerOf(family, table);
  header[7] = FR_ACT_TO_TBL;
  return [
    header,
    attribute(FRA_PRIORITY, uint32(priority)),
    attribute(FRA_FWMARK, uint32(mark)),
    attribute(FRA_FWMASK, uint32(markMask)),
  ];
}

function headerOf(family: PolicyRoute["family"], table: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = family === "ipv4" ? AF_INET : AF_INET6;
  header[4] = table;
  return header;
}
