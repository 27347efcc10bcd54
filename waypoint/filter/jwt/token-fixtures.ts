/** Keys, tokens and a server of key sets: for tests. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export interface TestKey {
  readonly jwk: JWK;
  sign(payload: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export const ISSUER = "https://issuer.example";

export async function testKey(kid: string | undefined, alg = "ES256"): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) };
  return {
    jwk,
    sign: (payload, header = {}) =>
      new SignJWT({ iss: ISSUER, sub: "alice", ...payload })
        .setProtectedHeader({ alg, ...(kid !== undefined && { kid }), ...header })
        .sign(privateKey),
  };
}

export function jwks(...keys: readonly TestKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });
}

/** A token with any header and payload and no good signature. */
export function forged(header: unknown, payload: unknown, signature = "AAAA"): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}

export interface JwksServer {
  readonly uri: string;
  requests: number;
  answer: { status: number; body: string; headers?: Record<string, string> } | "never";
  close(): Promise<void>;
}

export async function jwksServer(body: string): Promise<JwksServer> {
  const server: Server = createServer((_, response) => {
    state.requests++;
    if (state.answer === "never") return;
    response.writeHead(state.answer.status, state.answer.headers).end(state.answer.body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const state: JwksServer = {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    requests: 0,
    answer: { status: 200, body },
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
  return state;
}
