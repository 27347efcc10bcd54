/**
 * The `:authority` of CONNECT: `ip:port`, `[ipv6]:port` or `hostname:port`, nothing else (RFC 9113
 * 8.5).
 */
import { type IpAddress, parseIp } from "#common/model/ip.ts";

export type Authority =
  | { readonly kind: "ip"; readonly ip: IpAddress; readonly port: number }
  | { readonly kind: "hostname"; readonly hostname: string; readonly port: number }
  | { readonly kind: "error"; readonly message: string };

/**
 * DNS names have at most 253 characters; with brackets and port nothing valid is longer than this.
 */
const MAX_AUTHORITY_CHARACTERS = 262;

// RFC 1123 labels; underscores occur in real service names.
const HOSTNAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
/**
 * What resolvers take for an IPv4 address in another notation (`0x7f.1`, `127.1`), by the rule of
 * browsers: its last part is a number. It is no name, and must never reach a resolver.
 */
const ADDRESS_LIKE = /(^|\.)([0-9]+|0x[0-9a-f]*)$/i;
const PORT = /^[1-9][0-9]{0,4}$/;

export function parseAuthority(text: string): Authority {
  if (text === "") return invalid("is missing");
  if (text.length > MAX_AUTHORITY_CHARACTERS) return invalid("is too long");
  const colon = text.lastIndexOf(":");
  const portText = text.slice(colon + 1);
  if (colon < 0 || !PORT.test(portText) || Number(portText) > 65_535) {
    return invalid("needs a port from 1 to 65535");
  }
  const port = Number(portText);
  const host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) {
    const ip = parseIp(host.slice(1, -1));
    return ip?.includes(":")
      ? { kind: "ip", ip, port }
      : invalid("has no IPv6 address in brackets");
  }
  const ip = parseIp(host);
  if (ip !== undefined) {
    return ip.includes(":") ? invalid("needs brackets around IPv6") : { kind: "ip", ip, port };
  }
  if (!HOSTNAME.test(host) || ADDRESS_LIKE.test(host)) return invalid("has no valid host");
  return { kind: "hostname", hostname: host.toLowerCase(), port };
}

function invalid(what: string): Authority {
  return { kind: "error", message: `authority ${what}` };
}
