/** istio.security.Authorization to the wire. Equal values give equal bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack, EmptySchema } from "@bufbuild/protobuf/wkt";
import type { Authorization, Match, Rule, StringMatch } from "#common/model/authorization.ts";
import type { Cidr } from "#common/model/ip.ts";
import { AUDIT_EXTENSION, POLICY_SCOPES, WIRE_ACTIONS } from "./authorization-wire.ts";
import { enumNumber } from "./decode-wire.ts";
import * as wire from "./gen/istio/authorization_pb.js";

export function encodeAuthorization(policy: Authorization): Uint8Array {
  const header = {
    name: policy.name,
    namespace: policy.namespace,
    scope: enumNumber(POLICY_SCOPES, policy.scope),
  };
  const body = policy.action === "audit" ? hiddenAudit(policy) : plainBody(policy);
  return toBinary(
    wire.AuthorizationSchema,
    create(wire.AuthorizationSchema, { ...header, ...body }),
  );
}

function plainBody({ action, rules, dryRun }: Authorization) {
  return { action: enumNumber(WIRE_ACTIONS, action), rules: rules.map(encodeRule), dryRun };
}

/** See AUDIT_EXTENSION. */
function hiddenAudit({ rules, dryRun }: Authorization) {
  const audit = create(wire.AuthorizationSchema, { rules: rules.map(encodeRule), dryRun });
  const config = anyPack(wire.AuthorizationSchema, audit);
  return {
    action: enumNumber(WIRE_ACTIONS, "deny"),
    dryRun: true,
    extensions: [{ name: AUDIT_EXTENSION, config }],
  };
}

function encodeRule(rule: Rule) {
  return { clauses: rule.clauses.map((clause) => ({ matches: clause.matches.map(encodeMatch) })) };
}

function encodeMatch(match: Match): wire.Match {
  return create(wire.MatchSchema, {
    namespaces: match.namespaces.map(encodeStringMatch),
    notNamespaces: match.notNamespaces.map(encodeStringMatch),
    principals: match.principals.map(encodeStringMatch),
    notPrincipals: match.notPrincipals.map(encodeStringMatch),
    serviceAccounts: match.serviceAccounts.map((account) => ({ ...account })),
    notServiceAccounts: match.notServiceAccounts.map((account) => ({ ...account })),
    sourceIps: match.sourceIps.map(encodeCidr),
    notSourceIps: match.notSourceIps.map(encodeCidr),
    destinationIps: match.destinationIps.map(encodeCidr),
    notDestinationIps: match.notDestinationIps.map(encodeCidr),
    destinationPorts: [...match.destinationPorts],
    notDestinationPorts: [...match.notDestinationPorts],
  });
}

function encodeStringMatch(match: StringMatch): wire.StringMatch {
  const matchType: wire.StringMatch["matchType"] =
    match.kind === "presence"
      ? { case: "presence", value: create(EmptySchema) }
      : { case: match.kind, value: match.value };
  return create(wire.StringMatchSchema, { matchType });
}

function encodeCidr(cidr: Cidr) {
  return { address: Uint8Array.from(cidr.bytes), length: cidr.length };
}
