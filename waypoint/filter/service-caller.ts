/**
 * Calls of the waypoint's own to services of the mesh: external authorizers, rate limit services,
 * collectors of spans, servers of keys. They go the way of requests, over the mesh, with the
 * waypoint's identity, load balanced and over pooled connections. Bounded in time and in what is
 * read of the answer.
 */
import type { MethodDefinition } from "@grpc/grpc-js";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import { describeError } from "#common/runtime/errors.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { RequestContext } from "./stage.ts";

export interface ServiceCall {
  readonly target: BackendRef;
  readonly protocol: "http1" | "http2";
  readonly head: RequestHead;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  /** Bytes of a body beyond which the answer counts as none. */
  readonly maxResponseBytes: number;
  /** Whom this is about: when that client leaves, the call ends. @default nobody */
  readonly context?: CallContext;
}

/** Whose request, or connection, a call is about. */
export type CallContext = Pick<RequestContext, "downstream" | "signal">;

export interface ServiceResponse {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
  readonly trailers: HeaderList | undefined;
}

/** There is no answer; `failed` says why, for the log. */
export interface ServiceFailure {
  readonly failed: string;
}

/** Never rejects. */
export type CallService = (call: ServiceCall) => Promise<ServiceResponse | ServiceFailure>;

/** gRPC's frame: one byte for compression, four for the length. Source: gRPC's PROTOCOL-HTTP2. */
const FRAME_HEADER_BYTES = 5;

export interface GrpcCall<Request, Response> {
  readonly target: BackendRef;
  readonly method: MethodDefinition<Request, Response>;
  readonly message: Request;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** @default nobody */
  readonly context?: CallContext;
}

/** One unary call. Never rejects. */
export async function callGrpc<Request, Response>(
  callService: CallService,
  call: GrpcCall<Request, Response>,
): Promise<{ readonly response: Response } | ServiceFailure> {
  const { target, method, timeoutMs, maxResponseBytes, context } = call;
  try {
    const answer = await callService({
      target,
      protocol: "http2",
      head: grpcHead(call),
      body: frameOf(method.requestSerialize(call.message)),
      timeoutMs,
      maxResponseBytes: maxResponseBytes + FRAME_HEADER_BYTES,
      ...(context && { context }),
    });
    if ("failed" in answer) return answer;
    const refused = grpcProblem(answer);
    if (refused !== undefined) return { failed: refused };
    const message = messageOf(answer.body);
    if (message === undefined) return { failed: "the answer is not one gRPC message" };
    return { response: method.responseDeserialize(message) };
  } catch (error) {
    return { failed: describeError(error) };
  }
}

function grpcHead<Request, Response>(call: GrpcCall<Request, Response>): RequestHead {
  const { hostname, port } = call.target;
  return {
    version: "2",
    method: "POST",
    scheme: "http",
    authority: `${hostname}:${port}`,
    path: call.method.path,
    headers: new HeaderList([
      "content-type",
      "application/grpc",
      "te",
      "trailers",
      "grpc-timeout",
      `${call.timeoutMs}m`,
    ]),
  };
}

function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

/** Exactly one message, not compressed. */
function messageOf(body: Uint8Array): Buffer | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (bytes.length < FRAME_HEADER_BYTES || bytes[0] !== 0) return undefined;
  const message = bytes.subarray(FRAME_HEADER_BYTES);
  return message.length === bytes.readUInt32BE(1) ? message : undefined;
}

function grpcProblem({ head, trailers }: ServiceResponse): string | undefined {
  if (head.status !== 200) return `the answer was ${head.status}`;
  const status = trailers?.get("grpc-status") ?? head.headers.get("grpc-status");
  if (status === "0") return undefined;
  const message = trailers?.get("grpc-message") ?? head.headers.get("grpc-message") ?? "";
  return `grpc-status ${status ?? "missing"} ${message}`.trimEnd();
}
