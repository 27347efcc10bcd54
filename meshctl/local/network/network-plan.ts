/**
 * The wires of a cluster as text for `ip -batch`: the fabric, the nodes on it, and the pods on
 * those.
 */
import { createHash } from "node:crypto";
import {
  type Cidr,
  formatCidr,
  type IpAddress,
  ipToBytes,
  isIpv6Address,
} from "#common/model/ip.ts";
import { addressAt, FABRIC_IPV4, FABRIC_IPV6, SERVICE_IPV4, SERVICE_IPV6 } from "./addresses.ts";

export const FABRIC_BRIDGE = "fabric";
export const POD_BRIDGE = "cni0";

/** What the wiring needs to know of a node. */
export interface NodeWiring {
  readonly name: string;
  /** Its number on the fabric, from 1. */
  readonly number: number;
  readonly ips: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
}

/** The cluster's own addresses: istiod-lite and DNS answer here. */
export const FABRIC_IPS: readonly IpAddress[] = [
  addressAt(FABRIC_IPV4, 1),
  addressAt(FABRIC_IPV6, 1),
];

export function nodeIps(number: number): readonly IpAddress[] {
  return [addressAt(FABRIC_IPV4, number + 1), addressAt(FABRIC_IPV6, number + 1)];
}

/** Lines for the fabric's own namespace, run once. */
export function fabricLines(): readonly string[] {
  return [
    "link set lo up",
    addBridge(FABRIC_BRIDGE, FABRIC_IPS),
    ...FABRIC_IPS.map((ip) =>
      addAddress(ip, familyOf(ip, FABRIC_IPV4, FABRIC_IPV6), FABRIC_BRIDGE),
    ),
    `link set ${FABRIC_BRIDGE} up`,
  ];
}

/**
 * Lines for the fabric's namespace that plug in a node, whose namespace the process `pid` holds.
 */
export function plugNodeLines(node: NodeWiring, pid: number): readonly string[] {
  const port = `node${node.number}`;
  return [
    `link add ${port} type veth peer name eth0 netns ${pid}`,
    `link set ${port} master ${FABRIC_BRIDGE} up`,
    ...routesTo(node),
  ];
}

/** Lines for the fabric's namespace that take a node out. */
export function unplugNodeLines(node: NodeWiring): readonly string[] {
  return [...node.podCidrs.map((c) => `route del ${formatCidr(c)}`), `link del node${node.number}`];
}

/** Routes to a node's pods, for the fabric and for the other nodes. */
export function routesTo(node: NodeWiring): readonly string[] {
  return node.podCidrs.flatMap((block) => {
    const gateway = sameFamily(node.ips, block.bytes.length === 16);
    return gateway === undefined ? [] : [`route replace ${formatCidr(block)} via ${gateway}`];
  });
}

/**
 * Lines for a node's namespace, run once. Service addresses leave by the fabric if nothing took
 * them.
 */
export function nodeLines(node: NodeWiring): readonly string[] {
  const [fabric4, fabric6] = FABRIC_IPS;
  return [
    "link set lo up",
    ...node.ips.map((ip) => addAddress(ip, familyOf(ip, FABRIC_IPV4, FABRIC_IPV6), "eth0")),
    "link set eth0 up",
    `route add default via ${fabric4}`,
    `route add default via ${fabric6}`,
    `route add ${formatCidr(SERVICE_IPV4)} via ${fabric4}`,
    `route add ${formatCidr(SERVICE_IPV6)} via ${fabric6}`,
    addBridge(POD_BRIDGE, node.podCidrs.map(gatewayOf)),
    `link set ${POD_BRIDGE} up`,
    ...node.podCidrs.flatMap((block) => podBlockLines(node, block)),
  ];
}

/**
 * The bridge is the pods' gateway, but the node speaks to them with its own address, as kubelets
 * do.
 */
function podBlockLines(node: NodeWiring, block: Cidr): readonly string[] {
  const own = sameFamily(node.ips, block.bytes.length === 16);
  const source = own === undefined ? "" : ` src ${own}`;
  return [
    `addr add ${gatewayOf(block)}/${block.length} dev ${POD_BRIDGE} noprefixroute${nodad(block)}`,
    `route add ${formatCidr(block)} dev ${POD_BRIDGE}${source}`,
  ];
}

/**
 * Lines for a pod's namespace. Each address is alone on its link and everything goes by the
 * gateway: two pods of a node must not talk past the node, where services are translated back.
 */
export function podLines(pod: PodWiring): readonly string[] {
  return [
    "link set lo up",
    `link add eth0 address ${macOf(pod.ips)} ` +
      `type veth peer name ${pod.port} netns ${pod.nodeNetns}`,
    ...pod.ips.map((ip) => addAddress(ip, isIpv6Address(ip) ? 128 : 32, "eth0")),
    "link set eth0 up",
    ...pod.podCidrs.flatMap((block) => {
      const gateway = gatewayOf(block);
      if (sameFamily(pod.ips, block.bytes.length === 16) === undefined) return [];
      return [`route add ${gateway} dev eth0`, `route add default via ${gateway} dev eth0`];
    }),
  ];
}

export interface PodWiring {
  /** The name of the pod's wire on the node's side, from `podPort`. */
  readonly port: string;
  /** A path to the node's namespace. */
  readonly nodeNetns: string;
  readonly ips: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
}

/** Lines for the node's namespace that plug in a pod. */
export function plugPodLines(port: string): readonly string[] {
  return [`link set ${port} master ${POD_BRIDGE} up`];
}

/** An interface name (15 bytes at most) that is the pod's alone. */
export function podPort(uid: string): string {
  return `veth${createHash("sha256").update(uid).digest("hex").slice(0, 11)}`;
}

/**
 * With a fixed hardware address: by itself a bridge takes that of one of its ports, another one
 * whenever a pod comes or goes, and its neighbours go on sending to the old one for seconds.
 */
function addBridge(name: string, ips: readonly IpAddress[]): string {
  return `link add ${name} address ${macOf(ips)} type bridge forward_delay 0`;
}

/**
 * Follows from the address, so that neighbours that remember a reused address are right about it.
 */
function macOf(ips: readonly IpAddress[]): string {
  const [ip] = ips;
  const last = ip === undefined ? [0, 0, 0, 0] : [...ipToBytes(ip)].slice(-4);
  return ["0a", "58", ...last.map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/**
 * Lines for the node's namespace that unplug a pod, even if something still holds its namespace.
 */
export function unplugPodLines(port: string): readonly string[] {
  return [`link del ${port}`];
}

function gatewayOf(block: Cidr): IpAddress {
  return addressAt(block, 1);
}

function addAddress(ip: IpAddress, length: number, device: string): string {
  return `addr add ${ip}/${length} dev ${device}${isIpv6Address(ip) ? " nodad" : ""}`;
}

function nodad(block: Cidr): string {
  return block.bytes.length === 16 ? " nodad" : "";
}

function familyOf(ip: IpAddress, ipv4: Cidr, ipv6: Cidr): number {
  return (isIpv6Address(ip) ? ipv6 : ipv4).length;
}

function sameFamily(ips: readonly IpAddress[], ipv6: boolean): IpAddress | undefined {
  return ips.find((ip) => isIpv6Address(ip) === ipv6);
}
