/** What a client is told when no try brought a response. */
import { describeError } from "#common/runtime/errors.ts";
import type { LocalReply } from "../filter/stage.ts";
import type { ExchangeError } from "../http/exchange.ts";

export function noConnection(error: unknown): LocalReply {
  return {
    status: 503,
    reason: "internal-error",
    body: "no connection to an upstream",
    detail: describeError(error),
  };
}

export const UNASKED_UPGRADE: LocalReply = {
  status: 502,
  reason: "upstream-protocol-error",
  body: "the upstream switched protocols without being asked",
};

export const TRY_TIMEOUT: LocalReply = {
  status: 504,
  reason: "upstream-timeout",
  body: "the upstream took too long to answer",
};

export const WHOLE_TIMEOUT: LocalReply = {
  status: 504,
  reason: "request-timeout",
  body: "the request took longer than its route allows",
};

export function replyFor(error: ExchangeError | undefined): LocalReply {
  const detail = error?.message ?? "the connection ended without a response";
  switch (error?.code) {
    case "protocol":
    case "limit":
      return {
        status: 502,
        reason: "upstream-protocol-error",
        body: "the upstream's response is not valid HTTP, or too large",
        detail,
      };
    case "timeout":
      return {
        status: 504,
        reason: "upstream-timeout",
        body: "the upstream took too long",
        detail,
      };
    default:
      return resetReply(detail);
  }
}

export function resetReply(detail: string): LocalReply {
  return {
    status: 503,
    reason: "upstream-reset",
    body: "the upstream closed the connection before it answered",
    detail,
  };
}
