/**
 * Our capture report service as grpc-js wants it, for client and server, with the model's types.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import type { CaptureState, PodReport } from "#common/model/captured-pod.ts";
import { enumName, enumNumber } from "./decode-wire.ts";
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

/** For `server.addService`. */
export const CaptureService = { report };
