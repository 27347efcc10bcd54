/** What upstreams are told of a verified token: its payload, and single claims, in headers. */
import { claimAt } from "#common/authorization/http/claims.ts";
import { wireBytes } from "#common/authorization/http/text-match.ts";
import type { JwtRule } from "#common/model/waypoint/policy.ts";
import type { HeaderList } from "../../http/header-list.ts";
import type { Claims } from "./token.ts";

export function writeOutputHeaders(
  headers: HeaderList,
  rule: JwtRule,
  token: string,
  claims: Claims,
): void {
  if (rule.outputPayloadToHeader !== undefined) {
    headers.set(rule.outputPayloadToHeader.toLowerCase(), token.split(".")[1] ?? "");
  }
  for (const { claim, header } of rule.outputClaimToHeaders) {
    const value = headerValue(claimOf(claims, claim));
    if (value !== undefined) headers.set(header.toLowerCase(), value);
  }
}

/** A name with dots is a claim of that name, else the way to a nested one. */
function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : claimAt(claims, name.split("."));
}

/**
 * Texts, numbers and booleans as they are, all else as JSON in base64url, as Envoy's jwt filter
 * does. None for what would not be one header value.
 */
function headerValue(claim: unknown): string | undefined {
  if (claim === undefined || claim === null) return undefined;
  if (typeof claim === "object") return Buffer.from(JSON.stringify(claim)).toString("base64url");
  const value = wireBytes(String(claim));
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value) ? value : undefined;
}
