/** The issuer whose tokens the waypoint checks: one key, made once for each run. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";

export const ISSUER = "https://issuer.example";
export const TEAM = "bench";
const ALG = "RS256";
const KEY_ID = "bench";
const VALID_FOR = "2h";

const keys = generateKeyPair(ALG, { extractable: true });

/** The key set, as RequestAuthentication has it inline. */
export async function jwks(): Promise<string> {
  const { publicKey } = await keys;
  return JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: KEY_ID, alg: ALG }] });
}

export async function bearerToken(): Promise<string> {
  const { privateKey } = await keys;
  return new SignJWT({ iss: ISSUER, sub: "client", team: TEAM })
    .setProtectedHeader({ alg: ALG, kid: KEY_ID })
    .setExpirationTime(VALID_FOR)
    .sign(privateKey);
}
