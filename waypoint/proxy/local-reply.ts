/** Answers of our own, as the client's protocol wants them. */
import type { LocalReply, RequestContext } from "../filter/stage.ts";
import { HeaderList } from "../http/header-list.ts";
import type { BodyLength, RequestHead, ResponseHead } from "../http/message.ts";
import { encodeGrpcMessage, grpcStatusOf, isGrpcContent } from "./grpc-status.ts";

export interface RenderedReply {
  readonly head: ResponseHead;
  readonly length: BodyLength;
  /** Undefined where none is sent. */
  readonly body: Uint8Array | undefined;
}

/** gRPC requests get 200 and a status in the header, everybody else plain text. */
export function renderLocalReply(reply: LocalReply, context: RequestContext): RenderedReply {
  return isGrpcContent(context.head.headers.get("content-type"))
    ? renderGrpc(reply, context)
    : renderText(reply, context);
}

function renderGrpc(reply: LocalReply, context: RequestContext): RenderedReply {
  const headers = new HeaderList(["content-type", "application/grpc"]);
  headers.append("grpc-status", String(reply.grpcStatus ?? grpcStatusOf(reply.status)));
  if (reply.body !== "") headers.append("grpc-message", encodeGrpcMessage(reply.body));
  addHeaders(headers, reply, context);
  return { head: { status: 200, headers }, length: { kind: "none" }, body: undefined };
}

function renderText(reply: LocalReply, context: RequestContext): RenderedReply {
  const headers = new HeaderList();
  const body = allowsBody(reply.status) ? Buffer.from(reply.body) : undefined;
  if (body !== undefined && body.length > 0) headers.append("content-type", "text/plain");
  addHeaders(headers, reply, context);
  const head = { status: reply.status, headers };
  if (body === undefined) return { head, length: { kind: "none" }, body };
  const length = { kind: "known", bytes: body.length } as const;
  return { head, length, body: sendsBody(context.head, body) ? body : undefined };
}

function addHeaders(headers: HeaderList, reply: LocalReply, context: RequestContext): void {
  for (const [name, value] of reply.headers ?? []) {
    if (name === "content-type") headers.set(name, value);
    else headers.append(name, value);
  }
  headers.set("x-request-id", context.id);
}

function sendsBody({ method }: RequestHead, body: Uint8Array): boolean {
  return method !== "HEAD" && body.length > 0;
}

/** Source: RFC 9110 6.4.1. */
function allowsBody(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 304;
}
