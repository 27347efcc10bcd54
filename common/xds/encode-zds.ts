/** istio.workload.zds to the wire. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ZDS_VERSION, type ZdsRequest } from "#common/model/zds.ts";
import * as wire from "./gen/istio/zds_pb.js";

export function encodeZdsHello(): Uint8Array {
  return toBinary(wire.ZdsHelloSchema, create(wire.ZdsHelloSchema, { version: ZDS_VERSION }));
}

export function encodeZdsRequest(request: ZdsRequest): Uint8Array {
  const message = create(wire.WorkloadRequestSchema, initOf(request));
  return toBinary(wire.WorkloadRequestSchema, message);
}

/** `error` "" acknowledges. */
export function encodeZdsAck(error: string): Uint8Array {
  const payload = { case: "ack" as const, value: { error } };
  return toBinary(wire.WorkloadResponseSchema, create(wire.WorkloadResponseSchema, { payload }));
}

type RequestInit = MessageInitShape<typeof wire.WorkloadRequestSchema>;

function initOf(request: ZdsRequest): RequestInit {
  switch (request.kind) {
    case "add": {
      const value = { uid: request.uid, workloadInfo: { ...request.info } };
      return { payload: { case: "add", value } };
    }
    case "keep":
      return { payload: { case: "keep", value: { uid: request.uid } } };
    case "del":
      return { payload: { case: "del", value: { uid: request.uid } } };
    case "snapshot-sent":
      return { payload: { case: "snapshotSent", value: {} } };
  }
}
