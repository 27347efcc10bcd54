/** ambientmesh.capture.Pod to the wire. Equal values give equal bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { type Pod, PodSchema } from "./gen/ambient/capture_pb.js";

export function encodeCapturedPod(pod: CapturedPod): Uint8Array {
  return toBinary(PodSchema, capturedPodMessage(pod));
}

export function capturedPodMessage(pod: CapturedPod): Pod {
  return create(PodSchema, {
    uid: pod.uid,
    name: pod.name,
    namespace: pod.namespace,
    serviceAccount: pod.serviceAccount,
    ips: [...pod.ips],
    workloadUid: pod.workloadUid,
    bypassInboundCapture: pod.bypassInboundCapture,
    dnsCapture: pod.dnsCapture,
  });
}
