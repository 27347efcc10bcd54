/** The host of a request in its one spelling. */
import { isIPv6 } from "node:net";
import type { HttpVersion } from "../http/message.ts";

/** Names, IPv4 addresses, and IPv6 in brackets; no escapes, no user. */
const AUTHORITY =
  /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*)\.?(?::(\d{0,5}))?$/;
const MAX_CHARACTERS = 262;

/** Nothing to be changed: lower case, no port, no dot at the end. */
const PLAIN = /^[0-9a-z_-]+(?:\.[0-9a-z_-]+)*$/;

/**
 * Lower case, without a dot at its end and without the port that the scheme implies. Undefined
 * where it is none, or missing: only HTTP/1.0 may leave it out (RFC 9112 3.2, RFC 9113 8.3.1).
 */
export function normaliseAuthority(
  authority: string,
  scheme: string,
  version: HttpVersion,
): string | undefined {
  if (authority === "") return version === "1.0" ? "" : undefined;
  if (authority.length > MAX_CHARACTERS) return undefined;
  if (PLAIN.test(authority)) return authority;
  const [, host = "", digits = ""] = AUTHORITY.exec(authority) ?? [];
  if (host === "" || (host.startsWith("[") && !isIPv6(host.slice(1, -1)))) return undefined;
  const name = host.toLowerCase();
  if (digits === "") return name;
  const port = Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  return port === (scheme === "https" ? 443 : 80) ? name : `${name}:${port}`;
}
