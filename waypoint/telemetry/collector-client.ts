/**
 * One request to an OpenTelemetry collector: OTLP in protobuf, by gRPC or by HTTP, over the mesh as
 * the waypoint's other calls.
 */
import type { MethodDefinition } from "@grpc/grpc-js";
import { type CallService, callGrpc } from "../filter/service-caller.ts";
import { HeaderList } from "../http/header-list.ts";
import { EXPORT_ANSWER_BYTES, EXPORT_TIMEOUT_MS } from "./limits.ts";

/** A service that takes OTLP. */
export interface Collector {
  readonly protocol: "grpc" | "http";
  readonly namespace: string;
  readonly hostname: string;
  readonly port: number;
}

const BOUNDS = { timeoutMs: EXPORT_TIMEOUT_MS, maxResponseBytes: EXPORT_ANSWER_BYTES };

/** Why the collector did not take `body`; undefined where it did. Never rejects. */
export function sendSpans(
  call: CallService,
  collector: Collector,
  body: Uint8Array,
): Promise<string | undefined> {
  const send = collector.protocol === "grpc" ? sendOverGrpc : sendOverHttp;
  return send(call, collector, body);
}

const bytes = (value: Uint8Array): Buffer =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** Source: opentelemetry-proto, collector/trace/v1/trace_service.proto. */
const EXPORT: MethodDefinition<Uint8Array, Uint8Array> = {
  path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  requestStream: false,
  responseStream: false,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};

async function sendOverGrpc(call: CallService, target: Collector, message: Uint8Array) {
  const answer = await callGrpc(call, { target, method: EXPORT, message, ...BOUNDS });
  return "failed" in answer ? answer.failed : undefined;
}

/** Source: OTLP specification, OTLP/HTTP request. */
const TRACES_PATH = "/v1/traces";

async function sendOverHttp(call: CallService, target: Collector, body: Uint8Array) {
  const head = {
    version: "1.1",
    method: "POST",
    scheme: "http",
    authority: `${target.hostname}:${target.port}`,
    path: TRACES_PATH,
    headers: new HeaderList(["content-type", "application/x-protobuf"]),
  } as const;
  const answer = await call({ target, protocol: "http1", head, body, ...BOUNDS });
  if ("failed" in answer) return answer.failed;
  const { status } = answer.head;
  return status >= 200 && status <= 299 ? undefined : `status ${status}`;
}
