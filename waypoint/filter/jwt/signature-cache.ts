/**
 * Tokens whose signature has been verified, by the key set that it was verified with: a set that
 * has changed knows none. Only the signature is remembered; whether claims are good is asked each
 * time.
 */
import { hash } from "node:crypto";
import { VERIFIED_TOKENS } from "./limits.ts";
import type { Claims } from "./token.ts";

export class SignatureCache {
  readonly #claims = new Map<string, Claims>();

  /** What a token is known by here, without keeping the token. */
  static digest(token: string): string {
    return hash("sha256", token, "base64");
  }

  /** The claims of a token that is known to be signed by one of the keys. */
  get(digest: string, keySetId: string): Claims | undefined {
    const key = digest + keySetId;
    const claims = this.#claims.get(key);
    if (claims === undefined) return undefined;
    // The one used last is the last to go.
    this.#claims.delete(key);
    this.#claims.set(key, claims);
    return claims;
  }

  put(digest: string, keySetId: string, claims: Claims): void {
    this.#claims.set(digest + keySetId, claims);
    if (this.#claims.size <= VERIFIED_TOKENS) return;
    const [oldest] = this.#claims.keys();
    if (oldest !== undefined) this.#claims.delete(oldest);
  }
}
