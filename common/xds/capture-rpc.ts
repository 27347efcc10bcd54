/**
 * Our capture report service as grpc-js wants it, for client and server, with the model's types.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import type {
  CaptureState,
  CaptureVerdict,
  PodReport,
  SandboxedPod,
} from "#common/model/captured-pod.ts";
import { capturedPodOf } from "./decode-captured-pod.ts";
import { enumName, enumNumber } from "./decode-wire.ts";
import { capturedPodMessage } from "./encode-captured-pod.ts";
import * as wire from "./gen/ambient/capture_pb.js";

/** In wire order; an unspecified state is refused. */
const STATES: readonly ("unspecified" | CaptureState)[] = [
  "unspecified",
  "enabled",
  "pending",
  "disabled",
  "failed",
];

export interface CaptureReportRequest {
  /** The reporting node; the server compares it with the node in the caller's token. */
  readonly node: string;
  readonly pods: readonly PodReport[];
}

/** Empty: that it came is the message. */
export type CaptureReportResponse = Readonly<Record<never, never>>;

function serializeRequest(request: CaptureReportRequest): Buffer {
  const message = create(wire.ReportRequestSchema, {
    node: request.node,
    pods: request.pods.map(({ repairs, ...pod }) => ({
      ...pod,
      state: enumNumber(STATES, pod.state),
      repairs: repairs?.count ?? 0,
      lastRepair: repairs?.last ?? "",
    })),
  });
  return Buffer.from(toBinary(wire.ReportRequestSchema, message));
}

function parseRequest(bytes: Uint8Array): CaptureReportRequest {
  const { node, pods } = fromBinary(wire.ReportRequestSchema, bytes);
  return { node, pods: pods.map(parsePodReport) };
}

function parsePodReport(pod: wire.PodReport): PodReport {
  const state = enumName(STATES, pod.state, "capture state");
  if (state === "unspecified") return enumName([], pod.state, "capture state");
  const { uid, name, namespace, message, repairs: count, lastRepair: last } = pod;
  const report = { uid, name, namespace, state, message };
  return count === 0 ? report : { ...report, repairs: { count, last } };
}

function serializeResponse(): Buffer {
  return Buffer.from(toBinary(wire.ReportResponseSchema, create(wire.ReportResponseSchema)));
}

function parseResponse(bytes: Uint8Array): CaptureReportResponse {
  fromBinary(wire.ReportResponseSchema, bytes);
  return {};
}

export const report: MethodDefinition<CaptureReportRequest, CaptureReportResponse> = {
  path: "/ambientmesh.capture.CaptureService/Report",
  requestStream: false,
  responseStream: false,
  requestSerialize: serializeRequest,
  requestDeserialize: parseRequest,
  responseSerialize: serializeResponse,
  responseDeserialize: parseResponse,
};

function serializeVerdictRequest(request: SandboxedPod): Buffer {
  const message = create(wire.VerdictRequestSchema, { ...request });
  return Buffer.from(toBinary(wire.VerdictRequestSchema, message));
}

function parseVerdictRequest(bytes: Uint8Array): SandboxedPod {
  const { node, namespace, name, uid } = fromBinary(wire.VerdictRequestSchema, bytes);
  return { node, namespace, name, uid };
}

function serializeVerdict(verdict: CaptureVerdict): Buffer {
  const message = create(
    wire.VerdictResponseSchema,
    verdict.kind === "enrolled"
      ? { pod: capturedPodMessage(verdict.pod) }
      : { reason: verdict.reason },
  );
  return Buffer.from(toBinary(wire.VerdictResponseSchema, message));
}

function parseVerdict(bytes: Uint8Array): CaptureVerdict {
  const { pod, reason } = fromBinary(wire.VerdictResponseSchema, bytes);
  if (pod === undefined) return { kind: "not-enrolled", reason };
  return { kind: "enrolled", pod: capturedPodOf(pod) };
}

export const verdict: MethodDefinition<SandboxedPod, CaptureVerdict> = {
  path: "/ambientmesh.capture.CaptureService/Verdict",
  requestStream: false,
  responseStream: false,
  requestSerialize: serializeVerdictRequest,
  requestDeserialize: parseVerdictRequest,
  responseSerialize: serializeVerdict,
  responseDeserialize: parseVerdict,
};

/** What a ztunnel that ends has to know: whether another follows. */
export interface Departure {
  readonly forGood: boolean;
}

export const departure: MethodDefinition<{ readonly node: string }, Departure> = {
  path: "/ambientmesh.capture.CaptureService/Departure",
  requestStream: false,
  responseStream: false,
  requestSerialize: ({ node }) =>
    Buffer.from(
      toBinary(wire.DepartureRequestSchema, create(wire.DepartureRequestSchema, { node })),
    ),
  requestDeserialize: (bytes) => ({ node: fromBinary(wire.DepartureRequestSchema, bytes).node }),
  responseSerialize: ({ forGood }) =>
    Buffer.from(
      toBinary(wire.DepartureResponseSchema, create(wire.DepartureResponseSchema, { forGood })),
    ),
  responseDeserialize: (bytes) => ({
    forGood: fromBinary(wire.DepartureResponseSchema, bytes).forGood,
  }),
};

/** For `server.addService`. */
export const CaptureService = { report, verdict, departure };
