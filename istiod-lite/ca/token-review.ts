/**
 * Who calls: a bound service account token becomes a Caller, or the call is refused. This
 * implementation verifies against a key set file (`--token-jwks`); on Kubernetes the API server is
 * asked (istiod-lite/config/kubernetes/api-token-reviewer.ts).
 */
import { createHash } from "node:crypto";
import { type JWTPayload, jwtVerify } from "jose";
import { MeshError } from "#common/runtime/errors.ts";
import { ISTIO_CA_AUDIENCE, SERVICE_ACCOUNT_ISSUER } from "#common/tls/service-account-token.ts";
import { TOKEN_BYTES, TOKEN_CACHE_ENTRIES, TOKEN_CACHE_MS, TOKEN_LEEWAY_S } from "../limits.ts";
import type { Caller } from "./caller.ts";
import { callerFromClaims } from "./caller-claims.ts";
import type { JwksFile, KeyResolver } from "./jwks-file.ts";

export interface TokenReviewer {
  /**
   * The caller behind an `authorization` header ("Bearer <token>"). Rejects with MeshError
   * UNAUTHENTICATED: no token, not ours, expired, for another audience, not bound to a pod. The
   * message is for our log; callers are told nothing but that they were refused.
   */
  review(authorizationHeader: string | undefined): Promise<Caller>;
}

export interface JwksTokenReviewerOptions {
  /** Default SERVICE_ACCOUNT_ISSUER. */
  readonly issuer?: string;
  /** Default ISTIO_CA_AUDIENCE. */
  readonly audience?: string;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

interface CachedCaller {
  readonly caller: Caller;
  readonly keys: KeyResolver;
  readonly untilMs: number;
}

export class JwksTokenReviewer implements TokenReviewer {
  readonly #jwks: JwksFile;
  readonly #issuer: string;
  readonly #audience: string;
  readonly #now: () => number;
  /** By SHA-256 of the token, oldest first. Only accepted tokens: junk cannot push them out. */
  readonly #verified = new Map<string, CachedCaller>();

  constructor(jwks: JwksFile, options: JwksTokenReviewerOptions = {}) {
    this.#jwks = jwks;
    this.#issuer = options.issuer ?? SERVICE_ACCOUNT_ISSUER;
    this.#audience = options.audience ?? ISTIO_CA_AUDIENCE;
    this.#now = options.now ?? Date.now;
  }

  async review(authorizationHeader: string | undefined): Promise<Caller> {
    const token = bearerToken(authorizationHeader);
    const keys = await this.#jwks.keys();
    const digest = createHash("sha256").update(token).digest("base64");
    const known = this.#verified.get(digest);
    // A changed key set is another resolver, so that a withdrawn key takes its tokens along.
    if (known?.keys === keys && known.untilMs > this.#now()) return known.caller;
    this.#verified.delete(digest);
    const claims = await this.#verify(token, keys);
    const caller = callerFromClaims(claims);
    this.#remember(digest, { caller, keys, untilMs: this.#believedUntil(claims) });
    return caller;
  }

  async #verify(token: string, keys: KeyResolver): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ["ES256", "RS256"],
        issuer: this.#issuer,
        audience: this.#audience,
        clockTolerance: TOKEN_LEEWAY_S,
        currentDate: new Date(this.#now()),
        requiredClaims: ["exp", "sub", "iss", "aud"],
      });
      return payload;
    } catch (error) {
      // jose hangs the whole payload on its errors as their cause: only the text goes on.
      const cause = error instanceof Error ? error.message : error;
      throw new MeshError("UNAUTHENTICATED", "the token was not accepted", { cause });
    }
  }

  #believedUntil(claims: JWTPayload): number {
    return Math.min(this.#now() + TOKEN_CACHE_MS, (claims.exp ?? 0) * 1000);
  }

  #remember(digest: string, entry: CachedCaller): void {
    this.#verified.set(digest, entry);
    if (this.#verified.size <= TOKEN_CACHE_ENTRIES) return;
    const [oldest] = this.#verified.keys();
    if (oldest !== undefined) this.#verified.delete(oldest);
  }
}

/** The token of an `authorization` header. Throws MeshError UNAUTHENTICATED where there is none. */
export function bearerToken(header: string | undefined): string {
  if (header === undefined || header === "") {
    throw new MeshError("UNAUTHENTICATED", "the call carries no authorization header");
  }
  if (header.length > TOKEN_BYTES) {
    throw new MeshError("UNAUTHENTICATED", `the token is longer than ${TOKEN_BYTES} bytes`);
  }
  const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(header)?.[1];
  if (token === undefined) {
    throw new MeshError("UNAUTHENTICATED", "the authorization header is not a bearer JWT");
  }
  return token;
}
