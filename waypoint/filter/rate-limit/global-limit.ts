/** A limit that a service counts: envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit. */

import { isAscii } from "#common/authorization/http/text-match.ts";
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import { type LimitState, shouldRateLimit } from "#common/xds/rate-limit-rpc.ts";
import type { HeaderList } from "../../http/header-list.ts";
import { isSettable } from "../ext-authz/header-changes.ts";
import { type CallService, callGrpc } from "../service-caller.ts";
import type { LocalReply, RequestContext } from "../stage.ts";
import { descriptorKey, descriptorValues } from "./descriptors.ts";
import type { LimitStanding } from "./limit-headers.ts";
import { ANSWER_BYTES, SERVICE_TIMEOUT_MS } from "./limits.ts";
import { rateLimited, serviceFailed } from "./replies.ts";

export interface GlobalOutcome {
  readonly refused?: LocalReply;
  readonly standing?: LimitStanding;
}

/** Descriptors without any value are one that says so: the protocol wants at least one. */
const WHOLE = { key: "generic_key", value: "all" };

/** `limit` has a `global`; the others are never refused. */
export async function askGlobal(
  limit: RateLimit,
  context: RequestContext,
  call: CallService,
): Promise<GlobalOutcome> {
  const { global } = limit;
  if (global === undefined) return {};
  const { namespace, hostname, port, domain, timeoutMs, failOpen } = global;
  const values = descriptorValues(limit, context);
  const entries = limit.descriptors.map((descriptor, i) => ({
    key: descriptorKey(descriptor),
    value: readable(values[i] ?? ""),
  }));
  const answer = await callGrpc(call, {
    target: { namespace, hostname, port },
    method: shouldRateLimit,
    message: { domain, entries: entries.length === 0 ? [WHOLE] : entries },
    timeoutMs: timeoutMs || SERVICE_TIMEOUT_MS,
    maxResponseBytes: ANSWER_BYTES,
    context,
  });
  if ("failed" in answer) {
    if (!failOpen) return { refused: serviceFailed(limit.key, answer.failed) };
    context.notes.push(`rate limit ${limit.key} failed open: ${answer.failed}`);
    return {};
  }
  const { overLimit, state, responseHeaders, requestHeaders, body } = answer.response;
  const standing = state && standingOf(state);
  append(context.responseHeaders, responseHeaders);
  if (!overLimit) {
    append(context.head.headers, requestHeaders);
    return { ...(standing && { standing }) };
  }
  const refused = rateLimited(limit.key, state?.resetSeconds ?? 1, body === "" ? undefined : body);
  return { refused, ...(standing && { standing }) };
}

function standingOf(state: LimitState): LimitStanding {
  const { requestsPerUnit, unitSeconds, remaining, resetSeconds } = state;
  return { limit: requestsPerUnit, windowSeconds: unitSeconds, remaining, resetSeconds };
}

function append(headers: HeaderList, lines: readonly (readonly [string, string])[]): void {
  for (const [name, value] of lines) if (isSettable(name, value)) headers.append(name, value);
}

/** Texts of the protocol are UTF-8; what a client sent may be any bytes. */
function readable(value: string): string {
  return isAscii(value) ? value : Buffer.from(value, "latin1").toString("utf8");
}
