/**
 * The `forwarded` header of CONNECT (RFC 7239), as Istio's ztunnel writes it. Informational only.
 */
import { formatSocketAddress, parseIp, type SocketAddress } from "#common/model/ip.ts";

/** `for="ip:port"`, and `;host=<service>` where the client addressed a service. */
export function formatForwarded(client: SocketAddress, serviceHost: string | undefined): string {
  const node = `for="${formatSocketAddress(client)}"`;
  return serviceHost === undefined ? node : `${node};host=${serviceHost}`;
}

const MAX_FORWARDED_CHARACTERS = 1_024;
const HOST = /(?:^|[;,])\s*host=(?:"([^"\\]{1,253})"|([^\s;,"\\]{1,253}))/i;

/** The `host` that the client addressed; undefined when there is none. */
export function forwardedHost(header: string): string | undefined {
  if (header.length > MAX_FORWARDED_CHARACTERS) return undefined;
  const match = HOST.exec(header);
  return match?.[1] ?? match?.[2];
}

const FOR =
  /(?:^|[;,])\s*for="?(?:\[([0-9a-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})"?(?=[;,\s]|$)/i;

/** The client that `for` names; undefined where it names none by address and port. */
export function forwardedFor(header: string): SocketAddress | undefined {
  if (header.length > MAX_FORWARDED_CHARACTERS) return undefined;
  const [, ipv6, ipv4, port] = FOR.exec(header) ?? [];
  const ip = parseIp(ipv6 ?? ipv4 ?? "");
  const number = Number(port);
  return ip === undefined || !(number <= 65_535) ? undefined : { ip, port: number };
}
