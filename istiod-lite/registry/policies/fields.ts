/**
 * The fields of a policy rule: which list of a match each fills, and which only a waypoint can
 * enforce.
 */
import type { Match } from "#common/model/authorization.ts";
import {
  type Parsed,
  parseBlock,
  parsePort,
  parsePrincipal,
  parseServiceAccount,
  parseString,
} from "./values.ts";

export type MatchField = keyof Match;
export type PositiveField = Exclude<MatchField, `not${string}`>;
export type ValueParser = (text: string, policyNamespace: string) => Parsed<unknown>;

/** ambient.md 1.4 F70. */
export const SOURCE_FIELDS: ReadonlyMap<string, MatchField> = new Map([
  ["principals", "principals"],
  ["notPrincipals", "notPrincipals"],
  ["namespaces", "namespaces"],
  ["notNamespaces", "notNamespaces"],
  ["serviceAccounts", "serviceAccounts"],
  ["notServiceAccounts", "notServiceAccounts"],
  ["ipBlocks", "sourceIps"],
  ["notIpBlocks", "notSourceIps"],
]);

export const OPERATION_FIELDS: ReadonlyMap<string, MatchField> = new Map([
  ["ports", "destinationPorts"],
  ["notPorts", "notDestinationPorts"],
]);

/** `when` keys: the list that `values` fills, and the one that `notValues` fills. */
export const CONDITION_KEYS: ReadonlyMap<string, readonly [MatchField, MatchField]> = new Map([
  ["source.ip", ["sourceIps", "notSourceIps"]],
  ["source.namespace", ["namespaces", "notNamespaces"]],
  ["source.principal", ["principals", "notPrincipals"]],
  ["source.serviceAccount", ["serviceAccounts", "notServiceAccounts"]],
  ["destination.ip", ["destinationIps", "notDestinationIps"]],
  ["destination.port", ["destinationPorts", "notDestinationPorts"]],
]);

/** ambient.md 1.4 F73, and `trustDomains`, which Istio treats alike (a Match has no such field). */
const SOURCE_L7 = new Set([
  "requestPrincipals",
  "notRequestPrincipals",
  "remoteIpBlocks",
  "notRemoteIpBlocks",
  "trustDomains",
  "notTrustDomains",
]);
const OPERATION_L7 = new Set(["hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"]);

export const L7_FIELDS = { source: SOURCE_L7, operation: OPERATION_L7 } as const;

/**
 * Istio's remaining `when` keys, all of which need a waypoint (istio.io, Authorization Policy
 * Conditions).
 */
export function isL7Condition(key: string): boolean {
  return /^(request\.|remote\.ip$|connection\.sni$|source\.trustDomain$|experimental\.)/.test(key);
}

const PARSERS: Record<PositiveField, ValueParser> = {
  principals: parsePrincipal,
  namespaces: parseString,
  serviceAccounts: parseServiceAccount,
  sourceIps: parseBlock,
  destinationIps: parseBlock,
  destinationPorts: parsePort,
};

export function isNegative(field: MatchField): boolean {
  return field.startsWith("not");
}

export function parserOf(field: MatchField): ValueParser {
  return PARSERS[positiveOf(field)];
}

function positiveOf(field: MatchField): PositiveField {
  const name = isNegative(field) ? `${field.charAt(3).toLowerCase()}${field.slice(4)}` : field;
  return name as PositiveField;
}
