/** Asks an authorizer over gRPC: envoy.service.auth.v3.Authorization/Check. */
import { isAscii } from "#common/authorization/http/text-match.ts";
import { type CheckRequest, check } from "#common/xds/external-auth-rpc.ts";
import type { RequestHead } from "../../http/message.ts";
import { callGrpc } from "../service-caller.ts";
import type { Downstream, RequestContext } from "../stage.ts";
import { type CheckInput, type CheckOutcome, PARTIAL_BODY_HEADER } from "./check.ts";
import { isSettable } from "./header-changes.ts";
import { ANSWER_BYTES, CHECK_TIMEOUT_MS } from "./limits.ts";

export async function checkOverGrpc(input: CheckInput): Promise<CheckOutcome> {
  const { provider, context, call } = input;
  const { namespace, hostname, port, timeoutMs } = provider;
  const answer = await callGrpc(call, {
    target: { namespace, hostname, port },
    method: check,
    message: checkRequest(input),
    timeoutMs: timeoutMs || CHECK_TIMEOUT_MS,
    maxResponseBytes: ANSWER_BYTES,
    context,
  });
  if ("failed" in answer) return { kind: "error", why: answer.failed };
  const { response } = answer;
  if (response.allowed) return { kind: "allowed", ...response };
  const { httpStatus, body } = response;
  const settable = response.headers.filter(({ name, value }) => isSettable(name, value));
  return {
    kind: "denied",
    status: httpStatus >= 200 && httpStatus <= 599 ? httpStatus : 403,
    body,
    headers: settable.map(({ name, value }) => [name, value]),
  };
}

function checkRequest({ context, body, now }: CheckInput): CheckRequest {
  const { downstream, head, id } = context;
  const headers = headerMap(context);
  if (body !== undefined) headers[PARTIAL_BODY_HEADER] = String(!body.complete);
  return {
    ...checkParties(downstream),
    timeMs: now(),
    http: {
      id,
      method: head.method,
      headers,
      path: text(head.path),
      host: text(head.authority),
      scheme: head.scheme,
      size: sizeOf(head),
      protocol: `HTTP/${head.version}`,
      ...(body !== undefined && { body: body.bytes }),
    },
  };
}

/** Who calls whom. */
export function checkParties({
  source,
  destination: { host: ip, port },
  peer,
}: Downstream): Pick<CheckRequest, "source" | "destination"> {
  return {
    source: { address: source, principal: peer.uri },
    destination: { address: { ip, port }, principal: "" },
  };
}

/** Pseudo-header fields, too, as Envoy sends them. */
function headerMap({ head }: RequestContext): Record<string, string> {
  const { authority, method, path, scheme, headers } = head;
  const map: Record<string, string> = Object.create(null);
  map[":authority"] = text(authority);
  map[":method"] = method;
  map[":path"] = text(path);
  map[":scheme"] = scheme;
  for (const [name, value] of headers.entries()) {
    const before = map[name];
    const separator = name === "cookie" ? "; " : ",";
    map[name] = before === undefined ? text(value) : `${before}${separator}${text(value)}`;
  }
  return map;
}

function sizeOf({ headers }: RequestHead): number {
  const length = headers.get("content-length") ?? "";
  return /^[0-9]{1,15}$/.test(length) ? Number(length) : -1;
}

/** What holds one character for each byte, as the text that these are in UTF-8. */
function text(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}
