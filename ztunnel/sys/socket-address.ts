/** `struct sockaddr_in` and `struct sockaddr_in6`, written to and read from a reused buffer. */
import { type IpAddress, ipFromBytes, ipToBytes, type SocketAddress } from "#common/model/ip.ts";
import { AF_INET, AF_INET6 } from "./libc.ts";

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/**
 * Fills the buffer and returns the length of the structure. The family is in host order (little
 * endian).
 */
export function writeSocketAddress(buffer: Buffer, ip: IpAddress, port: number): number {
  buffer.fill(0);
  const bytes = ipToBytes(ip);
  const isIpv6 = bytes.length === 16;
  buffer.writeUInt16LE(isIpv6 ? AF_INET6 : AF_INET, 0);
  buffer.writeUInt16BE(port, 2);
  buffer.set(bytes, isIpv6 ? 8 : 4);
  return isIpv6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES;
}

/**
 * The address in the buffer; undefined for other families and for port 0, which names no
 * destination.
 */
export function readSocketAddress(buffer: Buffer): SocketAddress | undefined {
  const family = buffer.readUInt16LE(0);
  const port = buffer.readUInt16BE(2);
  if (port === 0 || (family !== AF_INET && family !== AF_INET6)) return undefined;
  const ip = ipFromBytes(family === AF_INET ? buffer.subarray(4, 8) : buffer.subarray(8, 24));
  return ip === undefined ? undefined : { ip, port };
}
