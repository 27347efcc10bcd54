/**
 * istio.workload.zds from the wire. Fields that this version does not know are passed over; a
 * message whose kind it does not know is refused, because the other side waits for its effect.
 */
import type { ZdsRequest } from "#common/model/zds.ts";
import { decodeMessage, invalidResource, requiredText } from "./decode-wire.ts";
import * as wire from "./gen/istio/zds_pb.js";

/** The version that a ztunnel speaks. Throws MeshError INVALID_RESOURCE for what is no hello. */
export function decodeZdsHello(bytes: Uint8Array): number {
  return decodeMessage(wire.ZdsHelloSchema, bytes).version;
}

/** Throws MeshError INVALID_RESOURCE; the message can be sent back as the error of an Ack. */
export function decodeZdsRequest(bytes: Uint8Array): ZdsRequest {
  const { payload } = decodeMessage(wire.WorkloadRequestSchema, bytes);
  switch (payload.case) {
    case "add": {
      const uid = requiredText(payload.value.uid, "the workload's uid");
      return { kind: "add", uid, info: decodeInfo(payload.value.workloadInfo, uid) };
    }
    case "keep":
      return { kind: "keep", uid: requiredText(payload.value.uid, "the workload's uid") };
    case "del":
      return { kind: "del", uid: requiredText(payload.value.uid, "the workload's uid") };
    case "snapshotSent":
      return { kind: "snapshot-sent" };
    default:
      throw invalidResource("the request has no payload that this version knows");
  }
}

/** The error of a ztunnel's answer, "" if all went well. Throws MeshError INVALID_RESOURCE. */
export function decodeZdsAck(bytes: Uint8Array): string {
  const { payload } = decodeMessage(wire.WorkloadResponseSchema, bytes);
  if (payload.case === "ack") return payload.value.error;
  throw invalidResource("the response is no acknowledgement");
}

/** Without a name and an account nobody could tell whose traffic it is. */
function decodeInfo(info: wire.WorkloadInfo | undefined, uid: string) {
  if (info === undefined) throw invalidResource(`workload_info of ${uid} is missing`);
  return {
    name: requiredText(info.name, `the name of ${uid}`),
    namespace: requiredText(info.namespace, `the namespace of ${uid}`),
    serviceAccount: requiredText(info.serviceAccount, `the service account of ${uid}`),
  };
}
