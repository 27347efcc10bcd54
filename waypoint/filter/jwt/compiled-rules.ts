/** The JWT rules that hold for a request, the gateway's and its service's, in the form of use. */
import type { JwtRule, RequestAuthentication } from "#common/model/waypoint/policy.ts";
import { inlineKeys, type JwksCache, type KeySource } from "./jwks-cache.ts";
import { locationsOf, type TokenLocation } from "./token-locations.ts";

export interface CompiledJwtRule {
  /** `<namespace>/<name>` of its RequestAuthentication. */
  readonly key: string;
  readonly rule: JwtRule;
  readonly keys: KeySource;
}

export interface CompiledLocation {
  readonly location: TokenLocation;
  /** Those that take tokens from here. */
  readonly rules: readonly CompiledJwtRule[];
}

export interface CompiledJwt {
  readonly locations: readonly CompiledLocation[];
  /** What only we may set; in lower case. */
  readonly outputHeaders: readonly string[];
}

export function compileJwt(
  authentications: readonly RequestAuthentication[],
  jwks: JwksCache,
): CompiledJwt {
  const rules = authentications.flatMap(({ key, rules: list }) =>
    list.map((rule) => ({ key, rule, keys: keysOf(rule, jwks) })),
  );
  const locations = new Map<string, { location: TokenLocation; rules: CompiledJwtRule[] }>();
  for (const compiled of rules) {
    for (const location of locationsOf(compiled.rule)) {
      const id = JSON.stringify([location.kind, location.name, location.prefix ?? ""]);
      const known = locations.get(id);
      if (known === undefined) locations.set(id, { location, rules: [compiled] });
      else known.rules.push(compiled);
    }
  }
  const outputHeaders = new Set(rules.flatMap(({ rule }) => headersOf(rule)));
  return { locations: [...locations.values()], outputHeaders: [...outputHeaders] };
}

/** A rule without keys of its own, or with some that cannot be read, has none at all. */
function keysOf({ jwks, jwksUri, timeoutMs }: JwtRule, cache: JwksCache): KeySource {
  if (jwks === undefined && jwksUri !== undefined) return cache.source(jwksUri, timeoutMs);
  return inlineKeys(jwks ?? "");
}

function headersOf({ outputPayloadToHeader, outputClaimToHeaders }: JwtRule): string[] {
  const names = outputClaimToHeaders.map(({ header }) => header);
  if (outputPayloadToHeader !== undefined) names.push(outputPayloadToHeader);
  return names.map((name) => name.toLowerCase());
}
