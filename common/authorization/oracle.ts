/**
 * A deliberately naive evaluator, written straight from ambient.md 2.4 without any preparation,
 * that tests hold the real one against. It shares no code with it.
 */
import type { Authorization, Clause, Match, StringMatch } from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { type Cidr, type IpAddress, ipToBytes } from "#common/model/ip.ts";

export function naiveAllowed(connection: Connection, policies: readonly Authorization[]): boolean {
  const enforced = policies.filter((policy) => !policy.dryRun);
  const deny = enforced.filter((policy) => policy.action === "deny");
  const allow = enforced.filter((policy) => policy.action === "allow");
  if (deny.some((policy) => naiveMatches(connection, policy))) return false;
  if (allow.length === 0) return true;
  return allow.some((policy) => naiveMatches(connection, policy));
}

export function naiveMatches(connection: Connection, policy: Authorization): boolean {
  return policy.rules.some((rule) =>
    rule.clauses.every((clause) => clauseHolds(connection, clause)),
  );
}

function clauseHolds(connection: Connection, clause: Clause): boolean {
  if (clause.matches.length === 0) return true;
  return clause.matches.some((match) => !isEmpty(match) && matchHolds(connection, match));
}

function isEmpty(match: Match): boolean {
  return Object.values(match).every((values) => values.length === 0);
}

function matchHolds(connection: Connection, m: Match): boolean {
  const peer = connection.sourceIdentity;
  const principal = (value: StringMatch): boolean =>
    peer !== undefined && isPrincipal(value, peer.uri);
  const namespace = (value: StringMatch): boolean => isText(value, peer?.namespace ?? "");
  const account = (value: Match["serviceAccounts"][number]): boolean =>
    peer?.namespace === value.namespace && peer.serviceAccount === value.serviceAccount;
  const source = (block: Cidr): boolean => inBlock(connection.sourceIp, block);
  const destination = (block: Cidr): boolean => inBlock(connection.destinationIp, block);
  const port = (value: number): boolean => value === connection.destinationPort;
  return (
    both(m.principals, m.notPrincipals, principal) &&
    both(m.namespaces, m.notNamespaces, namespace) &&
    both(m.serviceAccounts, m.notServiceAccounts, account) &&
    both(m.sourceIps, m.notSourceIps, source) &&
    both(m.destinationIps, m.notDestinationIps, destination) &&
    both(m.destinationPorts, m.notDestinationPorts, port)
  );
}

function both<T>(positive: readonly T[], negative: readonly T[], hit: (v: T) => boolean): boolean {
  return (positive.length === 0 || positive.some(hit)) && !negative.some(hit);
}

/** Either with the scheme on both sides or on neither. */
function isPrincipal(value: StringMatch, uri: string): boolean {
  const withScheme = value.kind !== "presence" && value.value.startsWith("spiffe://");
  return isText(value, withScheme ? uri : uri.replace(/^spiffe:\/\//, ""));
}

function isText(value: StringMatch, text: string): boolean {
  if (value.kind === "presence") return text.length > 0;
  if (value.kind === "exact") return text === value.value;
  return value.kind === "prefix" ? text.startsWith(value.value) : text.endsWith(value.value);
}

function inBlock(ip: IpAddress, block: Cidr): boolean {
  const bits = (bytes: Uint8Array): string =>
    [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const address = ipToBytes(ip);
  if (address.length !== block.bytes.length) return false;
  return bits(address).slice(0, block.length) === bits(block.bytes).slice(0, block.length);
}
