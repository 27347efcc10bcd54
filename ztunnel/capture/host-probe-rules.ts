/**
 * The nftables rules of the node's own namespace, as text for `nft -f -`: TCP connections that a
 * process of the node (kubelet) opens to a captured pod get a source address that the pod's rules
 * let through, so that probes work under STRICT.
 *
 * Which packets are a node process's own is told by `meta skuid`: it has a value only where the
 * packet still belongs to a socket of this very namespace. A forwarded packet has no socket, even
 * if it carries one of the node's addresses as its (forged) source, which a test of the source
 * address would let in.
 */
import { type IpAddress, isIpv6Address } from "#common/model/ip.ts";
import { NAT_TABLE, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6 } from "./rules.ts";

/** Istio's names of the sets. */
const SET_IPV4 = "istio-inpod-probes-v4";
const SET_IPV6 = "istio-inpod-probes-v6";
const CHAIN = "istio-postrouting";
/** Just before `srcnat` (100): the first source NAT wins, and CNIs masquerade there. */
const PRIORITY = 95;
/** Every uid there is: the match is on the socket, not on whose it is. */
const OWN_SOCKET = "meta skuid >= 0";

/**
 * One transaction that makes table, sets and rules, or replaces the rules of existing ones.
 * Addresses that are in the sets stay there, so that a restart breaks no probe.
 */
export function probeRuleset(addresses: Iterable<IpAddress>): string {
  const family = (ip: string, set: string, source: string) =>
    `add rule inet ${NAT_TABLE} ${CHAIN} ${ip} daddr @${set} meta l4proto tcp ${OWN_SOCKET} ` +
    `snat ${ip} to ${source}`;
  return [
    `add table inet ${NAT_TABLE}`,
    `add set inet ${NAT_TABLE} ${SET_IPV4} { type ipv4_addr; }`,
    `add set inet ${NAT_TABLE} ${SET_IPV6} { type ipv6_addr; }`,
    `add chain inet ${NAT_TABLE} ${CHAIN} ` +
      `{ type nat hook postrouting priority ${PRIORITY}; policy accept; }`,
    `flush chain inet ${NAT_TABLE} ${CHAIN}`,
    family("ip", SET_IPV4, PROBE_SOURCE_IPV4),
    family("ip6", SET_IPV6, PROBE_SOURCE_IPV6),
    probeSetChange("add", addresses),
  ].join("\n");
}

/** Lines that add addresses to, or delete them from, the sets. */
export function probeSetChange(verb: "add" | "delete", addresses: Iterable<IpAddress>): string {
  const all = [...addresses];
  const lines = [
    [SET_IPV4, all.filter((ip) => !isIpv6Address(ip))] as const,
    [SET_IPV6, all.filter((ip) => isIpv6Address(ip))] as const,
  ].filter(([, ips]) => ips.length > 0);
  return lines
    .map(([set, ips]) => `${verb} element inet ${NAT_TABLE} ${set} { ${ips.join(", ")} }\n`)
    .join("");
}

/** Empties both sets; followed by `probeSetChange` in the same transaction. */
export function probeSetFlush(): string {
  return `flush set inet ${NAT_TABLE} ${SET_IPV4}\nflush set inet ${NAT_TABLE} ${SET_IPV6}\n`;
}

export function probeRulesetRemoval(): string {
  return `add table inet ${NAT_TABLE}\ndelete table inet ${NAT_TABLE}\n`;
}

/** Whether what `nft list table` printed holds both rules, and every one of the addresses. */
export function probeRulesetHolds(listing: string, addresses: Iterable<IpAddress>): boolean {
  const sources = [PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6];
  const rules = listing.split("\n").filter((line) => line.includes(" snat "));
  if (rules.length !== 2 || !sources.every((ip, i) => rules[i]?.endsWith(` to ${ip}`)))
    return false;
  const tokens = new Set(listing.split(/[\s,{}]+/));
  return [...addresses].every((ip) => tokens.has(ip));
}
