/** ambientmesh.capture.Pod from the wire. */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { parseIp } from "#common/model/ip.ts";
import { decodeMessage, invalidResource, requiredText } from "./decode-wire.ts";
import { type Pod, PodSchema } from "./gen/ambient/capture_pb.js";

/** Throws MeshError INVALID_RESOURCE where a name is missing or an address cannot be read. */
export function decodeCapturedPod(bytes: Uint8Array): CapturedPod {
  return capturedPodOf(decodeMessage(PodSchema, bytes));
}

/** Throws as `decodeCapturedPod` does. */
export function capturedPodOf(message: Pod): CapturedPod {
  const uid = requiredText(message.uid, "the pod's uid");
  return {
    uid,
    name: requiredText(message.name, `the name of pod ${uid}`),
    namespace: requiredText(message.namespace, `the namespace of pod ${uid}`),
    serviceAccount: requiredText(message.serviceAccount, `the service account of pod ${uid}`),
    ips: message.ips.map((text) => {
      const ip = parseIp(text);
      if (ip === undefined)
        throw invalidResource(`pod ${uid}: ${JSON.stringify(text)} is no address`);
      return ip;
    }),
    workloadUid: requiredText(message.workloadUid, `the workload uid of pod ${uid}`),
    bypassInboundCapture: message.bypassInboundCapture,
    dnsCapture: message.dnsCapture,
  };
}
