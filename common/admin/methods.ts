/** Which methods a page answers to, and what others are told. */
import type { Answer } from "#common/runtime/http-server.ts";

/** For what is only read. */
export const READING: readonly string[] = ["GET", "HEAD"];

export function methodNotAllowed(methods: readonly string[]): Answer {
  const allow = methods.join(", ");
  return { status: 405, headers: { allow }, body: `Invalid HTTP method; use ${allow}\n` };
}
