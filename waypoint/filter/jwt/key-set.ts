/**
 * A set of public keys (RFC 7517) and what verifies signatures with it. Which algorithms a key may
 * be used for follows from the key, never from the token alone: `none` and HMAC do not exist here.
 */
import { hash } from "node:crypto";
import { type CryptoKey, compactVerify, importJWK, type JWK } from "jose";
import { KEYS_PER_SET, KEYS_TRIED } from "./limits.ts";

/** What a key has to be for an algorithm. Source: RFC 7518 3.1, RFC 8037 3.1, RFC 9864. */
interface KeyKind {
  readonly kty: string;
  readonly crv?: string;
}

const RSA: KeyKind = { kty: "RSA" };
const ED25519: KeyKind = { kty: "OKP", crv: "Ed25519" };

const ALGORITHMS: ReadonlyMap<string, KeyKind> = new Map<string, KeyKind>([
  ["RS256", RSA],
  ["RS384", RSA],
  ["RS512", RSA],
  ["PS256", RSA],
  ["PS384", RSA],
  ["PS512", RSA],
  ["ES256", { kty: "EC", crv: "P-256" }],
  ["ES384", { kty: "EC", crv: "P-384" }],
  ["ES512", { kty: "EC", crv: "P-521" }],
  ["EdDSA", ED25519],
  ["Ed25519", ED25519],
]);

/** `no-key`: none of the set is the one that the token names. */
export type SignatureResult = "valid" | "no-key" | "bad-signature" | "bad-algorithm";

export interface TokenHeader {
  readonly alg?: unknown;
  readonly kid?: unknown;
}

export class KeySet {
  /** By content: two sets of one id verify the same. */
  readonly id: string;
  readonly #keys: readonly JWK[];
  readonly #imported = new Map<string, Promise<CryptoKey | Uint8Array>>();

  private constructor(id: string, keys: readonly JWK[]) {
    this.id = id;
    this.#keys = keys;
  }

  /** Undefined for what is no key set, or has no key that could verify anything. */
  static parse(text: string): KeySet | undefined {
    const keys = readKeys(text);
    return keys.length === 0 ? undefined : new KeySet(hash("sha256", text, "base64url"), keys);
  }

  /** Whether the signature of a token (compact JWS) is by one of the keys. Never rejects. */
  async verify(token: string, header: TokenHeader): Promise<SignatureResult> {
    const alg = typeof header.alg === "string" ? header.alg : "";
    const needed = ALGORITHMS.get(alg);
    if (needed === undefined) return "bad-algorithm";
    if (header.kid !== undefined && typeof header.kid !== "string") return "no-key";
    const candidates = this.#candidates(alg, needed, header.kid);
    if (candidates.length === 0) return "no-key";
    for (const index of candidates.slice(0, KEYS_TRIED)) {
      if (await this.#verifies(token, index, alg)) return "valid";
    }
    return "bad-signature";
  }

  /** Keys without an id may be any; the one that the token names comes first. */
  #candidates(alg: string, { kty, crv }: KeyKind, kid: string | undefined): readonly number[] {
    const fits = (key: JWK): boolean =>
      key.kty === kty &&
      (crv === undefined || key.crv === crv) &&
      (key.alg === undefined || key.alg === alg) &&
      (kid === undefined || key.kid === undefined || key.kid === kid);
    const named = (index: number): number => (this.#keys[index]?.kid === kid ? 0 : 1);
    return this.#keys
      .flatMap((key, i) => (fits(key) ? [i] : []))
      .sort((a, b) => named(a) - named(b));
  }

  async #verifies(token: string, index: number, alg: string): Promise<boolean> {
    try {
      await compactVerify(token, await this.#key(index, alg), { algorithms: [alg] });
      return true;
    } catch {
      // A key that jose refuses (too short, say) verifies nothing, as a wrong one does.
      return false;
    }
  }

  #key(index: number, alg: string): Promise<CryptoKey | Uint8Array> {
    const id = `${index} ${alg}`;
    let key = this.#imported.get(id);
    if (key === undefined) {
      key = importJWK(this.#keys[index] ?? {}, alg);
      this.#imported.set(id, key);
    }
    return key;
  }
}

const PUBLIC_FIELDS = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops"] as const;

/** Public halves of keys for signatures; what is not one is left out. */
function readKeys(text: string): readonly JWK[] {
  const list = keyList(text);
  return list.slice(0, KEYS_PER_SET).flatMap((entry) => {
    if (typeof entry !== "object" || entry === null) return [];
    const all = entry as Readonly<Record<string, unknown>>;
    const { use, key_ops: operations } = all;
    if (use !== undefined && use !== "sig") return [];
    if (Array.isArray(operations) && !operations.includes("verify")) return [];
    const fields = PUBLIC_FIELDS.filter((field) => all[field] !== undefined);
    if (fields.some((field) => field !== "key_ops" && typeof all[field] !== "string")) return [];
    return [Object.fromEntries(fields.map((field) => [field, all[field]])) as JWK];
  });
}

function keyList(text: string): readonly unknown[] {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return Array.isArray(keys) ? keys : [];
  } catch {
    return [];
  }
}
