/**
 * The `forwarded` header of CONNECT (RFC 7239), as Istio's ztunnel writes it. Informational only.
 */
import { formatSocketAddress, type SocketAddress } from "#common/model/ip.ts";

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
