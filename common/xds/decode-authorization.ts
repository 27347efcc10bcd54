/**
 * istio.security.Authorization from the wire. A policy that this version cannot represent exactly
 * is refused as a whole: dropping a part of a match could let more through than its author meant.
 */
import type {
  Authorization,
  Clause,
  Match,
  PolicyAction,
  PolicyScope,
  ServiceAccountMatch,
  StringMatch,
} from "#common/model/authorization.ts";
import { type Cidr, ipToBytes } from "#common/model/ip.ts";
import {
  decodeIp,
  decodeMessage,
  decodePort,
  enumName,
  invalidResource,
  requiredText,
} from "./decode-wire.ts";
import * as wire from "./gen/istio/authorization_pb.js";

/** In wire order. Source: istio/ztunnel proto/authorization.proto at 62d82653. */
export const POLICY_SCOPES: readonly PolicyScope[] = ["global", "namespace", "workload-selector"];
export const POLICY_ACTIONS: readonly PolicyAction[] = ["allow", "deny"];

/** Throws MeshError INVALID_RESOURCE; the message names the policy where its name could be read. */
export function decodeAuthorization(bytes: Uint8Array): Authorization {
  const message = decodeMessage(wire.AuthorizationSchema, bytes);
  const key = `${message.namespace}/${message.name}`;
  requiredText(message.name, "the policy's name");
  refuseUnknown(message, key, "the policy");
  return {
    name: message.name,
    namespace: message.namespace,
    scope: enumName(POLICY_SCOPES, message.scope, `scope of policy ${key}:`),
    action: enumName(POLICY_ACTIONS, message.action, `action of policy ${key}:`),
    rules: message.rules.map((rule) => {
      refuseUnknown(rule, key, "a rule");
      return { clauses: rule.clauses.map((clause) => decodeClause(clause, key)) };
    }),
    dryRun: message.dryRun,
  };
}

function decodeClause(clause: wire.Clause, key: string): Clause {
  refuseUnknown(clause, key, "a clause");
  return { matches: clause.matches.map((match) => decodeMatch(match, key)) };
}

function decodeMatch(match: wire.Match, key: string): Match {
  refuseUnknown(match, key, "a match");
  if (match.extensions.length > 0) {
    throw invalidResource(
      `policy ${key}: a match has an extension that this version does not know`,
    );
  }
  const texts = (list: wire.StringMatch[]) => list.map((text) => decodeStringMatch(text, key));
  const blocks = (list: wire.Address[]) => list.map((address) => decodeCidr(address, key));
  const accounts = (list: wire.ServiceAccountMatch[]) => list.map((a) => decodeAccount(a, key));
  const ports = (list: number[]) => list.map((port) => decodePort(port, `policy ${key}:`));
  return {
    namespaces: texts(match.namespaces),
    notNamespaces: texts(match.notNamespaces),
    principals: texts(match.principals),
    notPrincipals: texts(match.notPrincipals),
    serviceAccounts: accounts(match.serviceAccounts),
    notServiceAccounts: accounts(match.notServiceAccounts),
    sourceIps: blocks(match.sourceIps),
    notSourceIps: blocks(match.notSourceIps),
    destinationIps: blocks(match.destinationIps),
    notDestinationIps: blocks(match.notDestinationIps),
    destinationPorts: ports(match.destinationPorts),
    notDestinationPorts: ports(match.notDestinationPorts),
  };
}

function decodeStringMatch(message: wire.StringMatch, key: string): StringMatch {
  refuseUnknown(message, key, "a string match");
  const { matchType } = message;
  if (matchType.case === undefined) throw invalidResource(`policy ${key}: a string match is empty`);
  if (matchType.case === "presence") return { kind: "presence" };
  return { kind: matchType.case, value: matchType.value };
}

function decodeAccount(message: wire.ServiceAccountMatch, key: string): ServiceAccountMatch {
  refuseUnknown(message, key, "a service account match");
  return { namespace: message.namespace, serviceAccount: message.serviceAccount };
}

function decodeCidr(message: wire.Address, key: string): Cidr {
  refuseUnknown(message, key, "an address");
  const bytes = ipToBytes(decodeIp(message.address, `an address of policy ${key}`));
  // An IPv4-mapped block becomes the IPv4 block it stands for: peers are un-mapped before they are
  // looked at, so the 16-byte form would never match. One wider than ::ffff:0:0/96 is no IPv4
  // block.
  const length = message.length - (message.address.length - bytes.length) * 8;
  if (length < 0 || length > bytes.length * 8) {
    throw invalidResource(
      `policy ${key}: prefix length ${message.length} does not fit its address`,
    );
  }
  return { bytes, length };
}

function refuseUnknown(message: { $unknown?: unknown[] | undefined }, key: string, what: string) {
  if (message.$unknown !== undefined && message.$unknown.length > 0) {
    throw invalidResource(`policy ${key}: ${what} has a field that this version does not know`);
  }
}
