/**
 * The key set that tokens are verified with, from a file that may be replaced at any time. A file
 * that cannot be read or parsed leaves the last good keys in force; before the first good one
 * nobody passes.
 */
import { open } from "node:fs/promises";
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { JWKS_BYTES, JWKS_RECHECK_MS } from "../limits.ts";

/** Finds the key for a token's header. Another object whenever the key set has changed. */
export type KeyResolver = JWTVerifyGetKey;

export class JwksFile {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #now: () => number;
  #keys: KeyResolver | undefined;
  #stamp = "";
  #checkedAt = Number.NEGATIVE_INFINITY;
  #checking: Promise<void> | undefined;

  constructor(path: string, logger: Logger, now: () => number = Date.now) {
    this.#path = path;
    this.#logger = logger;
    this.#now = now;
  }

  /**
   * The keys, at most JWKS_RECHECK_MS old. Rejects with MeshError UNAUTHENTICATED while there are
   * none.
   */
  async keys(): Promise<KeyResolver> {
    if (this.#now() - this.#checkedAt >= JWKS_RECHECK_MS) {
      this.#checking ??= this.#check().finally(() => {
        this.#checkedAt = this.#now();
        this.#checking = undefined;
      });
    }
    await this.#checking;
    if (this.#keys !== undefined) return this.#keys;
    throw new MeshError("UNAUTHENTICATED", `there are no keys in ${this.#path} to verify tokens`, {
      hint: "give --token-jwks a file with the JSON Web Key Set of the token issuer",
    });
  }

  async #check(): Promise<void> {
    try {
      const found = await readIfChanged(this.#path, this.#stamp);
      if (found === undefined) return;
      // Remembered even if it does not parse: one log line per change, not per call.
      this.#stamp = found.stamp;
      this.#keys = createLocalJWKSet(parseKeySet(found.text));
      this.#logger.info("token keys loaded", { file: this.#path });
    } catch (error) {
      this.#logger.error("token keys cannot be read; the last good ones stay in force", {
        file: this.#path,
        why: describeError(error),
      });
    }
  }
}

async function readIfChanged(
  path: string,
  lastStamp: string,
): Promise<{ text: string; stamp: string } | undefined> {
  await using file = await open(path, "r");
  const { ino, size, mtimeMs } = await file.stat();
  const stamp = `${ino}/${size}/${mtimeMs}`;
  if (stamp === lastStamp) return undefined;
  if (size > JWKS_BYTES) {
    throw new MeshError("JWKS_INVALID", `the key set is larger than ${JWKS_BYTES} bytes`);
  }
  return { text: await file.readFile("utf8"), stamp };
}

/**
 * Public ECDSA and RSA keys only: a symmetric key in the set would let its readers forge tokens.
 */
function parseKeySet(text: string): JSONWebKeySet {
  const parsed = JSON.parse(text) as Partial<JSONWebKeySet> | null;
  const keys = parsed?.keys;
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new MeshError("JWKS_INVALID", 'the key set has no "keys"');
  }
  for (const key of keys) {
    if ((key.kty !== "EC" && key.kty !== "RSA") || key.d !== undefined) {
      throw new MeshError("JWKS_INVALID", "the key set holds something else than public keys");
    }
  }
  return { keys };
}
