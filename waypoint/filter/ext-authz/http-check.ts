/**
 * Asks an authorizer over HTTP: it gets the request's own method, host and path (behind
 * `pathPrefix`) and the headers that the provider lists; 200 allows, 5xx is no answer, anything
 * else is the client's answer. Source: Envoy's ext_authz filter with an HTTP service.
 */
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";
import { HeaderList } from "../../http/header-list.ts";
import type { RequestHead } from "../../http/message.ts";
import type { ServiceResponse } from "../service-caller.ts";
import { type CheckInput, type CheckOutcome, PARTIAL_BODY_HEADER } from "./check.ts";
import { isSettable } from "./header-changes.ts";
import { headerPattern } from "./header-patterns.ts";
import { ANSWER_BYTES, CHECK_TIMEOUT_MS } from "./limits.ts";

/** What an authorizer always gets of the request's headers. */
const ALWAYS_SENT = "authorization";

/** What a client always gets of a refusal. */
const ALWAYS_RETURNED: ReadonlySet<string> = new Set(["location", "www-authenticate"]);

/** By which an authorizer says what the upstream is not to get. */
const REMOVAL_HEADER = "x-envoy-auth-headers-to-remove";

export async function checkOverHttp(input: CheckInput): Promise<CheckOutcome> {
  const { provider, context, body, call } = input;
  const { namespace, hostname, port, timeoutMs } = provider;
  const answer = await call({
    target: { namespace, hostname, port },
    protocol: "http1",
    head: checkHead(input),
    body: body?.bytes ?? new Uint8Array(),
    timeoutMs: timeoutMs || CHECK_TIMEOUT_MS,
    maxResponseBytes: ANSWER_BYTES,
    context,
  });
  if ("failed" in answer) return { kind: "error", why: answer.failed };
  const { status } = answer.head;
  if (status >= 500) return { kind: "error", why: `the answer was ${status}` };
  return status === 200 ? allowed(provider, answer) : denied(provider, answer);
}

function checkHead({ provider, context, body }: CheckInput): RequestHead {
  const { method, scheme, authority, path, headers: given } = context.head;
  const isIncluded = headerPattern(provider.includeRequestHeaders);
  const headers = new HeaderList();
  for (const [name, value] of given.entries()) {
    if (name !== ALWAYS_SENT && !isIncluded(name)) continue;
    if (isSettable(name, value)) headers.append(name, value);
  }
  if (body !== undefined) headers.set(PARTIAL_BODY_HEADER, String(!body.complete));
  for (const [name, value] of Object.entries(provider.includeAdditionalHeaders)) {
    headers.set(name.toLowerCase(), value);
  }
  const target = (provider.pathPrefix ?? "") + path;
  return { version: "1.1", method, scheme, authority, path: target, headers };
}

function allowed(provider: ExtAuthzProvider, { head }: ServiceResponse): CheckOutcome {
  const { headersToUpstreamOnAllow, headersToDownstreamOnAllow } = provider;
  const seen = new Set<string>();
  const requestHeaders = listed(head.headers, headersToUpstreamOnAllow).map(([name, value]) => {
    const how = seen.has(name) ? "add" : "set";
    seen.add(name);
    return { name, value, how } as const;
  });
  const responseHeaders = listed(head.headers, headersToDownstreamOnAllow);
  const removed = head.headers.getAll(REMOVAL_HEADER).flatMap((line) => line.split(","));
  return {
    kind: "allowed",
    requestHeaders,
    removedHeaders: removed.map((name) => name.trim().toLowerCase()),
    responseHeaders: responseHeaders.map(([name, value]) => ({ name, value, how: "add" })),
  };
}

function denied(provider: ExtAuthzProvider, { head, body }: ServiceResponse): CheckOutcome {
  const list = provider.headersToDownstreamOnDeny;
  const isListed = headerPattern(list);
  const headers = [...head.headers.entries()].filter(
    ([name, value]) =>
      isSettable(name, value) && (list.length === 0 || isListed(name) || ALWAYS_RETURNED.has(name)),
  );
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  return { kind: "denied", status: head.status, body: text, headers };
}

function listed(headers: HeaderList, list: readonly string[]): (readonly [string, string])[] {
  if (list.length === 0) return [];
  const isListed = headerPattern(list);
  return [...headers.entries()].filter(([name]) => isListed(name));
}
