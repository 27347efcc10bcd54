/**
 * Service account tokens for the programs of the mesh: the part of an API server that signs them.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  publicJwks,
  type ServiceAccountClaims,
  signServiceAccountToken,
} from "#common/tls/service-account-token.ts";
import { TOKEN_TTL_SECONDS } from "./limits.ts";
import type { ClusterPaths } from "./paths.ts";

export class TokenIssuer {
  readonly #key: KeyObject;
  readonly #paths: ClusterPaths;

  private constructor(key: KeyObject, paths: ClusterPaths) {
    this.#key = key;
    this.#paths = paths;
  }

  /** A new key; what verifies it is written to `jwksFile`. */
  static async create(paths: ClusterPaths): Promise<TokenIssuer> {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const issuer = new TokenIssuer(privateKey, paths);
    await mkdir(dirname(issuer.jwksFile), { recursive: true });
    await writeFile(issuer.jwksFile, JSON.stringify(await publicJwks(privateKey)));
    return issuer;
  }

  get jwksFile(): string {
    return join(this.#paths.tokenKeys, "jwks.json");
  }

  /** A token for tests that speak to istiod-lite themselves. */
  sign(claims: ServiceAccountClaims, ttlSeconds = TOKEN_TTL_SECONDS): Promise<string> {
    return signServiceAccountToken(this.#key, claims, ttlSeconds);
  }

  /** Writes a token file and replaces it at half of its life, for as long as the cluster lives. */
  async keepToken(name: string, claims: ServiceAccountClaims): Promise<void> {
    const file = this.#paths.token(name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const write = async () => {
      await writeFile(`${file}.tmp`, await this.sign(claims), { mode: 0o600 });
      await rename(`${file}.tmp`, file);
    };
    await write();
    setInterval(() => void write(), (TOKEN_TTL_SECONDS * 1000) / 2).unref();
  }
}
