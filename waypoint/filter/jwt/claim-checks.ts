/** Whether the claims of a token that is signed well are good here and now (RFC 7519 4.1). */
import type { JwtRule } from "#common/model/waypoint/policy.ts";
import { CLOCK_LEEWAY_S } from "./limits.ts";
import type { Claims } from "./token.ts";

/** Envoy's words for it, which clients know; undefined where all is well. */
export function claimProblem(claims: Claims, rule: JwtRule, nowMs: number): string | undefined {
  if (claims.iss !== rule.issuer) return "Jwt issuer is not configured";
  const nowS = nowMs / 1000;
  const { exp, nbf } = claims;
  if (!isTime(exp) || !isTime(nbf)) return "Jwt payload is not valid";
  if (exp !== undefined && exp + CLOCK_LEEWAY_S <= nowS) return "Jwt is expired";
  if (nbf !== undefined && nbf - CLOCK_LEEWAY_S > nowS) return "Jwt not yet valid";
  return isFor(claims.aud, rule.audiences) ? undefined : "Audiences in Jwt are not allowed";
}

function isTime(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === "number" && Number.isFinite(value));
}

function isFor(audience: unknown, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  const audiences: readonly unknown[] = Array.isArray(audience) ? audience : [audience];
  return audiences.some((each) => typeof each === "string" && allowed.includes(each));
}
