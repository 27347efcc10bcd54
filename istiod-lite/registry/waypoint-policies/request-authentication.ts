/** RequestAuthentication to what a waypoint verifies. */
import { parseIstioDurationMs } from "#common/kubernetes/istio-duration.ts";
import type { JWTRule, RequestAuthentication } from "#common/kubernetes/l7-policy-objects.ts";
import type {
  JwtRule,
  RequestAuthentication as WaypointAuthentication,
} from "#common/model/waypoint/policy.ts";
import { policyName } from "./targets.ts";

export function requestAuthentication(policy: RequestAuthentication): WaypointAuthentication {
  return { key: policyName(policy), rules: (policy.spec?.jwtRules ?? []).map(jwtRule) };
}

function jwtRule(rule: JWTRule): JwtRule {
  const { jwks = "", jwksUri = "", outputPayloadToHeader, timeout } = rule;
  const timeoutMs = timeout === undefined ? undefined : parseIstioDurationMs(timeout);
  return {
    issuer: rule.issuer,
    audiences: rule.audiences ?? [],
    ...(jwks !== "" && { jwks }),
    ...(jwksUri !== "" && { jwksUri }),
    locations: locationsOf(rule),
    ...(outputPayloadToHeader !== undefined && {
      outputPayloadToHeader: outputPayloadToHeader.toLowerCase(),
    }),
    outputClaimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ claim, header }) => ({
      claim,
      header: header.toLowerCase(),
    })),
    forwardOriginalToken: rule.forwardOriginalToken ?? false,
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

function locationsOf(rule: JWTRule): JwtRule["locations"] {
  return [
    ...(rule.fromHeaders ?? []).map(({ name, prefix }) => ({
      kind: "header" as const,
      name: name.toLowerCase(),
      ...(prefix !== undefined && { prefix }),
    })),
    ...(rule.fromParams ?? []).map((name) => ({ kind: "query-parameter" as const, name })),
    ...(rule.fromCookies ?? []).map((name) => ({ kind: "cookie" as const, name })),
  ];
}
