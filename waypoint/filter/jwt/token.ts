/** The parts of a token (RFC 7519, in the compact form of RFC 7515), decoded but not believed. */
import type { TokenHeader } from "./key-set.ts";
import { TOKEN_LENGTH } from "./limits.ts";

export type Claims = Readonly<Record<string, unknown>>;

export interface UnverifiedToken {
  readonly header: TokenHeader;
  readonly claims: Claims;
}

const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Undefined for what is no token, or too long to be looked at. */
export function decodeToken(token: string): UnverifiedToken | undefined {
  if (token.length > TOKEN_LENGTH || !FORM.test(token)) return undefined;
  const [first = "", second = ""] = token.split(".");
  const header = decodeObject(first);
  const claims = decodeObject(second);
  return header && claims && { header, claims };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

function decodeObject(part: string): Claims | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(Buffer.from(part, "base64url")));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
}
