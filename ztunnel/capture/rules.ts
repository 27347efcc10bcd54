/**
 * The nftables rules of one captured pod, as text for `nft`, and its policy routes.
 *
 * Istio's ambient redirection in its nftables form: its table and chain names, priorities, marks,
 * ports and order (istio/istio cni/pkg/iptables/testdata/default.golden and ingress.golden). What a
 * packet of the pod meets, in this order:
 *
 * - out: replies to the node's probes, DNS to 15053, replies to connections that ztunnel opened
 *   with a client's address, calls to the pod's own addresses, then everything else to 15001;
 * - in: the node's probes, then everything but HBONE to 15006;
 * - out, last: what was to go to 15001 or 15053 and did not is refused (our own addition).
 *
 * ztunnel's own sockets carry a mark and meet none of it.
 */
import {
  DNS_PROXY_PORT,
  HBONE_PORT,
  INBOUND_PLAINTEXT_PORT,
  OUTBOUND_PORT,
} from "#common/model/ports.ts";
import type { PolicyRoute } from "#ztunnel/sys/policy-route.ts";

/**
 * SO_MARK of every socket that ztunnel makes in a pod. Source: istio cni/pkg/config, as all below.
 */
export const ZTUNNEL_MARK = 0x539;
/** Connection mark of flows whose source ztunnel spoofed: their replies are kept in the pod. */
export const SPOOFED_FLOW_MARK = 0x111;
const MARK_MASK = 0xfff;
/** What the node's probes come from after `host-probes` has rewritten them. */
export const PROBE_SOURCE_IPV4 = "169.254.7.127";
export const PROBE_SOURCE_IPV6 = "fd16:9254:7127:1337:ffff:ffff:ffff:ffff";
/** The table that marked replies are routed by. */
export const ROUTE_TABLE = 100;
/** Of the rule that names the table. */
export const RULE_PRIORITY = 32764;
/**
 * Conntrack zone of the forward direction of spoofed flows (our own addition). Without it ztunnel's
 * connection to the app can pick the source port of the client's own, redirected connection: the
 * two would be one conntrack entry, and the connection to the app would be redirected to ztunnel.
 */
const SPOOFED_FLOW_ZONE = 1;
/**
 * Conntrack zone of ztunnel's own DNS queries, for the same reason: with the source port of a
 * redirected query they would be redirected too.
 */
const DNS_ZONE = 1;
const DNS_PORT = 53;

export const NAT_TABLE = "istio-ambient-nat";
export const MANGLE_TABLE = "istio-ambient-mangle";
export const RAW_TABLE = "istio-ambient-raw";
/** Of the mangle table. */
const GUARD_CHAIN = "ambient-guard";
export const POD_TABLES = [RAW_TABLE, MANGLE_TABLE, NAT_TABLE] as const;

export interface PodRuleOptions {
  /** Whether the pod's namespace has IPv6. */
  readonly ipv6: boolean;
  /**
   * `ambient.istio.io/bypass-inbound-capture`: no redirect of inbound plaintext, no probe
   * exception.
   */
  readonly bypassInboundCapture: boolean;
  /** Whether DNS goes to ztunnel's proxy. @default false */
  readonly dnsCapture?: boolean;
}

interface Family {
  readonly ip: "ip" | "ip6";
  readonly loopback: string;
  readonly probeSource: string;
}

const IPV4: Family = { ip: "ip", loopback: "127.0.0.1", probeSource: PROBE_SOURCE_IPV4 };
const IPV6: Family = { ip: "ip6", loopback: "::1", probeSource: PROBE_SOURCE_IPV6 };

const mark = (name: "meta mark" | "ct mark", value: number, operator: "==" | "!=") =>
  `${name} & ${hex(MARK_MASK)} ${operator} ${hex(value)}`;
const FROM_ZTUNNEL = mark("meta mark", ZTUNNEL_MARK, "==");
/**
 * Of connections older than the rules, conntrack first sees one in the middle. Redirected there, it
 * would be reset, or its client left to wait for ever (our own addition).
 */
const FIRST_SEGMENT = "tcp flags & (fin | syn | rst | ack) == syn";
const NOT_FROM_ZTUNNEL = mark("meta mark", ZTUNNEL_MARK, "!=");

/**
 * One transaction that replaces the pod's tables, whether they exist or not: the kernel switches
 * from the old rules to the new ones between two packets.
 */
export function podRuleset(options: PodRuleOptions): string {
  const families = options.ipv6 ? [IPV4, IPV6] : [IPV4];
  const { dnsCapture = false } = options;
  const tables = [rawTable(dnsCapture), mangleTable(families), natTable(options, families)];
  return [podRulesRemoval(), ...tables].join("\n");
}

/**
 * One transaction after which new connections are the pod's own, while those that were redirected
 * stay so. Removing the table takes the address translation from under them: not even a reset would
 * find its way, and clients that wait for an answer would wait for ever.
 */
export function podRedirectsRemoval(): string {
  const chains = [
    `${MANGLE_TABLE} ${GUARD_CHAIN}`,
    `${NAT_TABLE} istio-prerouting`,
    `${NAT_TABLE} istio-output`,
  ];
  return chains.map((name) => `flush chain inet ${name}\n`).join("");
}

/** One transaction that removes the pod's tables; it succeeds where there are none. */
export function podRulesRemoval(): string {
  return POD_TABLES.map((name) => `add table inet ${name}\ndelete table inet ${name}\n`).join("");
}

/** How many rules a ruleset of ours has. */
export function countRules(ruleset: string): number {
  return ruleset.split("\n").filter((line) => {
    const text = line.trim();
    return text !== "" && !/^(table|chain|set|type|add|delete|elements|flags|\}|#)/.test(text);
  }).length;
}

/** Marked replies are delivered locally. */
export function policyRoute(family: PolicyRoute["family"]): PolicyRoute {
  const match = { mark: SPOOFED_FLOW_MARK, markMask: MARK_MASK };
  return { family, ...match, priority: RULE_PRIORITY, table: ROUTE_TABLE };
}

/** Whether a socket with this SO_MARK is a ztunnel's. */
export function isZtunnelMark(value: number): boolean {
  return (value & MARK_MASK) === ZTUNNEL_MARK;
}

function rawTable(dnsCapture: boolean): string {
  const spoofed = `meta l4proto tcp ${FROM_ZTUNNEL} fib saddr type != local`;
  const queries = `udp dport ${DNS_PORT} ${FROM_ZTUNNEL} ct zone set ${DNS_ZONE}`;
  const answers = `udp sport ${DNS_PORT} ${NOT_FROM_ZTUNNEL} ct zone set ${DNS_ZONE}`;
  const output = [`${spoofed} ct original zone set ${SPOOFED_FLOW_ZONE}`];
  const hook = (name: string) => `type filter hook ${name} priority -300; policy accept;`;
  return table(RAW_TABLE, [
    chain("output", hook("output"), ["jump istio-output"]),
    chain("istio-output", "", dnsCapture ? [...output, queries] : output),
    ...(dnsCapture
      ? [
          chain("prerouting", hook("prerouting"), ["jump istio-prerouting"]),
          chain("istio-prerouting", "", [answers]),
        ]
      : []),
  ]);
}

function mangleTable(families: readonly Family[]): string {
  const keep = hex((~MARK_MASK & 0xffffffff) >>> 0);
  return table(MANGLE_TABLE, [
    chain("prerouting", "type filter hook prerouting priority -150; policy accept;", [
      "jump istio-prerouting",
    ]),
    chain("output", "type route hook output priority -150; policy accept;", ["jump istio-output"]),
    chain(GUARD_CHAIN, "type filter hook output priority 0; policy accept;", guardRules(families)),
    chain("istio-prerouting", "", [
      `${FROM_ZTUNNEL} ct mark set ct mark & ${keep} | ${hex(SPOOFED_FLOW_MARK)}`,
    ]),
    chain("istio-output", "", [
      `${mark("ct mark", SPOOFED_FLOW_MARK, "==")} meta mark set ct mark`,
    ]),
  ]);
}

function natTable(options: PodRuleOptions, families: readonly Family[]): string {
  return table(NAT_TABLE, [
    chain("prerouting", "type nat hook prerouting priority -100; policy accept;", [
      "jump istio-prerouting",
    ]),
    chain("output", "type nat hook output priority -100; policy accept;", ["jump istio-output"]),
    chain("istio-prerouting", "", options.bypassInboundCapture ? [] : inboundRules(families)),
    chain("istio-output", "", outboundRules(families, options.dnsCapture ?? false)),
  ]);
}

function inboundRules(families: readonly Family[]): string[] {
  return [
    ...families.map(({ ip, probeSource }) => `${ip} saddr ${probeSource} meta l4proto tcp accept`),
    ...families.map(
      ({ ip, loopback }) =>
        `${ip} daddr != ${loopback} tcp dport != ${HBONE_PORT} ${NOT_FROM_ZTUNNEL} ` +
        `${FIRST_SEGMENT} redirect to :${INBOUND_PLAINTEXT_PORT}`,
    ),
  ];
}

function outboundRules(families: readonly Family[], dnsCapture: boolean): string[] {
  return [
    ...families.map(({ ip, probeSource }) => `${ip} daddr ${probeSource} meta l4proto tcp accept`),
    ...(dnsCapture ? dnsRules(families) : []),
    `meta l4proto tcp ${mark("meta mark", SPOOFED_FLOW_MARK, "==")} accept`,
    ...families.map(({ ip, loopback }) => `${ip} daddr != ${loopback} oifname "lo" accept`),
    ...families.map(
      ({ ip, loopback }) =>
        `${ip} daddr != ${loopback} meta l4proto tcp ${NOT_FROM_ZTUNNEL} ` +
        `${FIRST_SEGMENT} redirect to :${OUTBOUND_PORT}`,
    ),
  ];
}

/**
 * Refuses new connections that left the address translation as they came: conntrack took the first
 * segment for one of an older connection that nobody has redirected. What was redirected goes to
 * loopback by now.
 */
function guardRules(families: readonly Family[]): string[] {
  return families.map(
    ({ ip, loopback, probeSource }) =>
      `${ip} daddr != ${loopback} ${ip} daddr != ${probeSource} oifname != "lo" ` +
      `${NOT_FROM_ZTUNNEL} ${FIRST_SEGMENT} reject with tcp reset`,
  );
}

/** A resolver of the pod's own, on its loopback interface, is none of ztunnel's business. */
function dnsRules(families: readonly Family[]): string[] {
  const redirect = `redirect to :${DNS_PROXY_PORT}`;
  return [
    `oifname != "lo" udp dport ${DNS_PORT} ${NOT_FROM_ZTUNNEL} ${redirect}`,
    ...families.map(
      ({ ip, loopback }) =>
        `${ip} daddr != ${loopback} tcp dport ${DNS_PORT} ${NOT_FROM_ZTUNNEL} ${redirect}`,
    ),
  ];
}

function table(name: string, chains: readonly string[]): string {
  return `table inet ${name} {\n${chains.join("")}}\n`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  const lines = hook === "" ? rules : [hook, ...rules];
  return `  chain ${name} {\n${lines.map((line) => `    ${line}\n`).join("")}  }\n`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
