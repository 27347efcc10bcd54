/**
 * The header of the PROXY protocol, which tells a server outside the mesh who its client is.
 * Source: haproxy.org, proxy-protocol.txt, sections 2.1 and 2.2.
 */
import { ipToBytes, isIpv6Address, type SocketAddress } from "#common/model/ip.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
/** Version 2 in the upper four bits. */
const COMMAND = { local: 0x20, proxy: 0x21 } as const;
const FAMILY = { unspecified: 0x00, tcp4: 0x11, tcp6: 0x21 } as const;

/** Without a client, or with one of another family, the header says that nothing is known. */
export function proxyProtocolHeader(
  version: "v1" | "v2",
  client: SocketAddress | undefined,
  destination: SocketAddress,
): Uint8Array {
  const known = client && isIpv6Address(client.ip) === isIpv6Address(destination.ip);
  const from = known ? client : undefined;
  return version === "v1" ? textHeader(from, destination) : binaryHeader(from, destination);
}

function textHeader(client: SocketAddress | undefined, to: SocketAddress): Uint8Array {
  if (client === undefined) return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const family = isIpv6Address(client.ip) ? "TCP6" : "TCP4";
  const line = `PROXY ${family} ${client.ip} ${to.ip} ${client.port} ${to.port}\r\n`;
  return Buffer.from(line, "latin1");
}

function binaryHeader(client: SocketAddress | undefined, to: SocketAddress): Uint8Array {
  if (client === undefined) {
    return Buffer.concat([SIGNATURE, Buffer.of(COMMAND.local, FAMILY.unspecified, 0, 0)]);
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(client.port, 0);
  ports.writeUInt16BE(to.port, 2);
  const addresses = Buffer.concat([ipToBytes(client.ip), ipToBytes(to.ip), ports]);
  const family = isIpv6Address(client.ip) ? FAMILY.tcp6 : FAMILY.tcp4;
  const head = Buffer.of(COMMAND.proxy, family, addresses.length >> 8, addresses.length & 255);
  return Buffer.concat([SIGNATURE, head, addresses]);
}
