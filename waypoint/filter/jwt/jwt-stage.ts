/**
 * RequestAuthentication: a request with a token that is good is the token's from here on, one with
 * a token that is not is refused, one without any goes on as nobody's (as in Istio, where
 * AuthorizationPolicy says whether that is enough). More than one token is refused: whose the
 * request is could not be said.
 */
import type { RequestAuthentication } from "#common/model/waypoint/policy.ts";
import type { LocalReply, ReplyReason, RequestContext, Stage } from "../stage.ts";
import { claimProblem } from "./claim-checks.ts";
import {
  type CompiledJwt,
  type CompiledJwtRule,
  type CompiledLocation,
  compileJwt,
} from "./compiled-rules.ts";
import type { JwksCache } from "./jwks-cache.ts";
import type { KeySet } from "./key-set.ts";
import { writeOutputHeaders } from "./output-headers.ts";
import { SignatureCache } from "./signature-cache.ts";
import { type Claims, decodeToken, type UnverifiedToken } from "./token.ts";
import { removeTokens, tokensAt } from "./token-locations.ts";

export interface JwtStageDeps {
  readonly jwks: JwksCache;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function createJwtStage(deps: JwtStageDeps): Stage {
  const checker = new TokenChecker(deps);
  return (context) => checker.check(context);
}

type Lists = readonly (readonly RequestAuthentication[])[];

class TokenChecker {
  readonly #deps: JwtStageDeps;
  readonly #verified = new SignatureCache();
  readonly #compiled = new WeakMap<object, WeakMap<object, CompiledJwt>>();

  constructor(deps: JwtStageDeps) {
    this.#deps = deps;
  }

  check(context: RequestContext): LocalReply | undefined | Promise<LocalReply | undefined> {
    const rules = this.#rulesFor(context);
    if (rules === undefined) return undefined;
    const { headers } = context.head;
    for (const name of rules.outputHeaders) headers.delete(name);
    if (isPreflight(context)) return undefined;
    const found = findTokens(rules, context);
    const [token, ...further] = found.keys();
    if (token === undefined) return undefined;
    if (further.length > 0) return refusal("more than one token");
    const locations = found.get(token) ?? [];
    return this.#checkToken({ token, locations, context });
  }

  #checkToken(presented: Presented): LocalReply | undefined | Promise<LocalReply | undefined> {
    const digest = SignatureCache.digest(presented.token);
    const candidates = presented.locations.flatMap(({ rules }) => rules);
    for (const candidate of candidates) {
      const keys = candidate.keys.current();
      const claims = keys && this.#verified.get(digest, keys.id);
      if (claims === undefined) continue;
      const problem = claimProblem(claims, candidate.rule, this.#deps.now());
      if (problem === undefined) return accept(presented, candidate, claims);
    }
    return this.#verify(presented, candidates, digest);
  }

  /** The issuer says which rules are tried; the last one's problem is told. */
  async #verify(
    presented: Presented,
    candidates: readonly CompiledJwtRule[],
    digest: string,
  ): Promise<LocalReply | undefined> {
    const token = decodeToken(presented.token);
    if (token === undefined) return refusal("Jwt is not well formed");
    const { claims } = token;
    let problem = refusal("Jwt issuer is not configured");
    for (const candidate of candidates.filter(({ rule }) => rule.issuer === claims.iss)) {
      const why = claimProblem(claims, candidate.rule, this.#deps.now());
      const refused =
        why === undefined
          ? await this.#checkSignature(presented.token, token, candidate, digest)
          : refusal(why, candidate);
      if (refused === undefined) return accept(presented, candidate, claims);
      problem = refused;
    }
    return problem;
  }

  async #checkSignature(
    token: string,
    { header, claims }: UnverifiedToken,
    candidate: CompiledJwtRule,
    digest: string,
  ): Promise<LocalReply | undefined> {
    let keys: KeySet | undefined = candidate.keys.current() ?? (await candidate.keys.load());
    if (keys === undefined) return unavailable(candidate);
    let result = await keys.verify(token, header);
    if (result === "no-key") {
      const newer = await candidate.keys.refetch();
      if (newer !== undefined && newer.id !== keys.id) {
        keys = newer;
        result = await keys.verify(token, header);
      }
    }
    if (result !== "valid") return refusal("Jwt verification fails", candidate, result);
    this.#verified.put(digest, keys.id, claims);
    return undefined;
  }

  /** Compiled once for each pair of a gateway's and a service's; undefined where there is none. */
  #rulesFor({ gateway, downstream }: RequestContext): CompiledJwt | undefined {
    const first = gateway.policies.requestAuthentications;
    const second = downstream.service?.policies.requestAuthentications ?? NONE;
    if (first.length === 0 && second.length === 0) return undefined;
    let byService = this.#compiled.get(first);
    if (byService === undefined) {
      byService = new WeakMap();
      this.#compiled.set(first, byService);
    }
    let compiled = byService.get(second);
    if (compiled === undefined) {
      const lists: Lists = [first, second];
      compiled = compileJwt(lists.flat(), this.#deps.jwks);
      byService.set(second, compiled);
    }
    return compiled;
  }
}

const NONE: readonly RequestAuthentication[] = [];

interface Presented {
  readonly token: string;
  readonly locations: readonly CompiledLocation[];
  readonly context: RequestContext;
}

/** Each different token, with the places where it is. */
function findTokens(rules: CompiledJwt, { head }: RequestContext): Map<string, CompiledLocation[]> {
  const found = new Map<string, CompiledLocation[]>();
  for (const compiled of rules.locations) {
    for (const token of tokensAt(compiled.location, head)) {
      const places = found.get(token);
      if (places === undefined) found.set(token, [compiled]);
      else if (!places.includes(compiled)) places.push(compiled);
    }
  }
  return found;
}

/** A browser asks without a token whether it may send one (Istio lets it pass, too). */
function isPreflight({ head }: RequestContext): boolean {
  const { method, headers } = head;
  if (method !== "OPTIONS") return false;
  return headers.has("origin") && headers.has("access-control-request-method");
}

function accept(
  { token, locations, context }: Presented,
  { rule }: CompiledJwtRule,
  claims: Claims,
): undefined {
  const subject = typeof claims.sub === "string" ? claims.sub : "";
  const principal = `${rule.issuer}/${subject}`;
  context.tokens.push({ issuer: rule.issuer, principal, claims });
  const { headers } = context.head;
  if (!rule.forwardOriginalToken) {
    for (const { location } of locations) removeTokens(location, headers);
  }
  writeOutputHeaders(headers, rule, token, claims);
}

/** gRPC's UNAUTHENTICATED. */
const UNAUTHENTICATED = 16;

function refusal(body: string, by?: CompiledJwtRule, detail?: string): LocalReply {
  return reply("jwt-invalid", body, by, detail);
}

function unavailable(by: CompiledJwtRule): LocalReply {
  return reply("jwks-unavailable", "Jwks remote fetch is failed", by, by.keys.problem());
}

function reply(
  reason: ReplyReason,
  body: string,
  by: CompiledJwtRule | undefined,
  detail: string | undefined,
): LocalReply {
  const who = by === undefined ? [] : [`${by.key} issuer ${by.rule.issuer}`];
  return {
    status: 401,
    reason,
    body,
    headers: [["www-authenticate", 'Bearer error="invalid_token"']],
    detail: [...who, body, ...(detail === undefined ? [] : [detail])].join(": "),
    grpcStatus: UNAUTHENTICATED,
  };
}
