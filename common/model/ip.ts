/**
 * IP addresses and CIDR blocks. An `IpAddress` is always canonical text (dotted quad, or RFC 5952
 * for IPv6 without zone; IPv4-mapped IPv6 is un-mapped), so equal addresses are equal strings and
 * map keys.
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Brand } from "./brand.ts";

export type IpAddress = Brand<string, "IpAddress">;

/** A block of addresses; `bytes` has 4 or 16 elements, `length` is the prefix length in bits. */
export interface Cidr {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** An address with a TCP port, as text of both where it is printed. */
export interface SocketAddress {
  readonly ip: IpAddress;
  readonly port: number;
}

const MAPPED_TEXT = "::ffff:";
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Parses textual IPv4 or IPv6 (no zone, no brackets). Returns undefined for anything else. */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return text as IpAddress;
  // How a socket of both families names an IPv4 peer; a short cut, as every connection needs it.
  if (text.startsWith(MAPPED_TEXT) && isIPv4(text.slice(MAPPED_TEXT.length))) {
    return text.slice(MAPPED_TEXT.length) as IpAddress;
  }
  if (!isIPv6(text) || text.includes("%")) return undefined;
  return ipFromBytes(ipv6Bytes(text));
}

/** The canonical address of 4 or 16 raw bytes; undefined for any other count. */
export function ipFromBytes(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length === 4) return bytes.join(".") as IpAddress;
  if (bytes.length !== 16) return undefined;
  if (MAPPED_PREFIX.every((byte, i) => bytes[i] === byte)) {
    return bytes.subarray(12).join(".") as IpAddress;
  }
  return formatIpv6(bytes) as IpAddress;
}

/** The 4 or 16 raw bytes of an address. */
export function ipToBytes(ip: IpAddress): Uint8Array {
  return ip.includes(":") ? ipv6Bytes(ip) : Uint8Array.from(ip.split("."), Number);
}

export function isLoopback(ip: IpAddress): boolean {
  return ip.startsWith("127.") || ip === "::1";
}

export function isIpv6Address(ip: IpAddress): boolean {
  return ip.includes(":");
}

/**
 * Parses `a.b.c.d/n`, `x::y/n` or a bare address (a block of one). Host bits may be set, as
 * Kubernetes allows; they are ignored. Returns undefined for anything else.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (ip === undefined) return undefined;
  const bytes = ipToBytes(ip);
  const bits = bytes.length * 8;
  if (slash < 0) return { bytes, length: bits };
  const suffix = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(suffix) || Number(suffix) > bits) return undefined;
  return { bytes, length: Number(suffix) };
}

/** Whether the block holds the address; blocks and addresses of different families never match. */
export function cidrContains(cidr: Cidr, address: Uint8Array): boolean {
  if (cidr.bytes.length !== address.length) return false;
  const whole = cidr.length >> 3;
  for (let i = 0; i < whole; i++) if (cidr.bytes[i] !== address[i]) return false;
  const rest = cidr.length & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return ((cidr.bytes[whole] ?? 0) & mask) === ((address[whole] ?? 0) & mask);
}

export function formatCidr(cidr: Cidr): string {
  return `${ipFromBytes(cidr.bytes) ?? "?"}/${cidr.length}`;
}

/** `ip:port`, IPv6 in brackets: the form of HTTP authorities and of access logs. */
export function formatSocketAddress(address: SocketAddress): string {
  return address.ip.includes(":")
    ? `[${address.ip}]:${address.port}`
    : `${address.ip}:${address.port}`;
}

function ipv6Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = "", tail] = text.split("::");
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  left.forEach((value, i) => void writeGroup(bytes, i, value));
  right.forEach((value, i) => void writeGroup(bytes, 8 - right.length + i, value));
  return bytes;
}

function writeGroup(bytes: Uint8Array, index: number, value: number): void {
  bytes[index * 2] = value >> 8;
  bytes[index * 2 + 1] = value & 0xff;
}

/** The 16-bit groups of one side of `::`, an embedded dotted quad counting as two. */
function groups(side: string): number[] {
  if (side === "") return [];
  return side.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  );
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === "0") end++;
    if (end - i > best.length) best = { start: i, length: end - i };
    if (end > i) i = end;
  }
  if (best.start < 0) return words.join(":");
  const before = words.slice(0, best.start).join(":");
  const after = words.slice(best.start + best.length).join(":");
  return `${before}::${after}`;
}
