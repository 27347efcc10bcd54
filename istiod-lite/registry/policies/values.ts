/** Parses the values of policy fields: each yields its match, or why it is not one. */
import type { ServiceAccountMatch, StringMatch } from "#common/model/authorization.ts";
import { type Cidr, parseCidr } from "#common/model/ip.ts";

/**
 * `inert` is a valid value that can never be met, such as a `*` in the middle: harmless among the
 * values of an ALLOW, but it would make a DENY or a `not...` field say less than it seems to.
 */
export type Parsed<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "inert"; readonly value: T; readonly problem: string }
  | { readonly kind: "broken"; readonly problem: string };

/** `ns/sa`, or `sa` for one of the policy's own namespace. */
export function parseServiceAccount(
  text: string,
  policyNamespace: string,
): Parsed<ServiceAccountMatch> {
  const parts = text.split("/");
  if (parts.length > 2 || parts.some((part) => part === "" || part.includes("*"))) {
    return broken("write a service account as name or namespace/name, without wildcards");
  }
  const [first = "", second] = parts;
  return value(
    second === undefined
      ? { namespace: policyNamespace, serviceAccount: first }
      : { namespace: first, serviceAccount: second },
  );
}

/** `*` any, `x*` prefix, `*x` suffix, else exact (ambient.md 1.4 F71). */
export function parseString(text: string): Parsed<StringMatch> {
  if (text === "") return broken("the value is empty");
  if (text === "*") return value({ kind: "presence" });
  const match = stringMatch(text);
  if (!match.value.includes("*")) return value(match);
  const problem = "a * is a wildcard only as the first or the last character";
  return { kind: "inert", value: match, problem };
}

/** As a string, but without the `spiffe://` that some write before a principal. */
export function parsePrincipal(text: string): Parsed<StringMatch> {
  return parseString(withoutScheme(text));
}

export function withoutScheme(principal: string): string {
  return principal.startsWith("spiffe://") ? principal.slice("spiffe://".length) : principal;
}

/** A bare address, or a CIDR block. */
export function parseBlock(text: string): Parsed<Cidr> {
  const block = parseCidr(text);
  // "::ffff:10.0.0.0/24" is a block of nearly all IPv6 addresses, not of 256 IPv4 ones: nobody
  // means it.
  const mapped = text.includes(":") && text.includes("/") && block?.bytes.length === 4;
  if (block === undefined || mapped) return broken("write an address or a CIDR block: 10.1.0.0/16");
  return value(block);
}

/** 1 to 65535, as a string: a Kubernetes API server refuses a number here. */
export function parsePort(text: string): Parsed<number> {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) return broken("write a port number from 1 to 65535, in quotes");
  return value(port);
}

function stringMatch(text: string): Exclude<StringMatch, { kind: "presence" }> {
  if (text.startsWith("*")) return { kind: "suffix", value: text.slice(1) };
  if (text.endsWith("*")) return { kind: "prefix", value: text.slice(0, -1) };
  return { kind: "exact", value: text };
}

function value<T>(parsed: T): Parsed<T> {
  return { kind: "value", value: parsed };
}

function broken(problem: string): { readonly kind: "broken"; readonly problem: string } {
  return { kind: "broken", problem };
}
