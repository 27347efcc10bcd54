/** Which pods the node proxy captures (ambient.md F1-F5), and what it is told about them. */
import type { Namespace, Pod } from "#common/kubernetes/objects.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { isTerminal, podAddresses, serviceAccountOf } from "./pod-facts.ts";
import type { RegistryOptions } from "./registry-options.ts";

// Sources: istio/api label/labels.yaml and annotation/annotations.yaml.
export const DATAPLANE_MODE_LABEL = "istio.io/dataplane-mode";
const SIDECAR_STATUS_ANNOTATION = "sidecar.istio.io/status";
const BYPASS_INBOUND_ANNOTATION = "ambient.istio.io/bypass-inbound-capture";
const DNS_CAPTURE_ANNOTATION = "ambient.istio.io/dns-capture";
/** Source: kubernetes pkg/apis/core annotation_key_constants.go. */
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";
const DNS_PORT = 53;

/** Why a pod is or is not captured; the text is for people. */
export type Enrolment =
  | { readonly enrolled: true }
  | { readonly enrolled: false; readonly reason: string };

/**
 * Whether the labels ask for capture and nothing forbids it. Addresses and node are not looked at.
 */
export function enrolmentOf(
  pod: Pod,
  namespace: Namespace | undefined,
  options: Pick<RegistryOptions, "rootNamespace" | "excludedNamespaces">,
): Enrolment {
  const reason = refusal(pod, options) ?? unlabelled(pod, namespace);
  return reason === undefined ? { enrolled: true } : { enrolled: false, reason };
}

function unlabelled(pod: Pod, namespace: Namespace | undefined): string | undefined {
  const own = pod.metadata.labels?.[DATAPLANE_MODE_LABEL];
  if (own === "none") return `label ${DATAPLANE_MODE_LABEL}=none on the pod`;
  if (own === "ambient") return undefined;
  if (namespace?.metadata.labels?.[DATAPLANE_MODE_LABEL] === "ambient") return undefined;
  return `no label ${DATAPLANE_MODE_LABEL}=ambient on the pod or its namespace`;
}

function refusal(
  pod: Pod,
  options: Pick<RegistryOptions, "rootNamespace" | "excludedNamespaces">,
): string | undefined {
  const { namespace = "default", labels, annotations } = pod.metadata;
  if (pod.spec.hostNetwork === true) return "it uses the host's network";
  if (isTerminal(pod)) return "it has run to its end";
  if (annotations?.[SIDECAR_STATUS_ANNOTATION] !== undefined) return "it has a sidecar";
  if (options.excludedNamespaces.includes(namespace)) return `namespace ${namespace} is excluded`;
  if (namespace === options.rootNamespace && labels?.app === "ztunnel") return "it is ztunnel";
  return undefined;
}

/** What the node's ztunnel gets; undefined until the pod has a node, an address and a uid. */
export function capturedPod(
  pod: Pod,
  workloadUid: string,
  options: Pick<RegistryOptions, "dnsCapture">,
): { readonly node: string; readonly pod: CapturedPod } | undefined {
  const ips: readonly IpAddress[] = podAddresses(pod);
  const node = pod.spec.nodeName;
  if (node === undefined || node === "" || ips.length === 0) return undefined;
  const record = capturedPodRecord(pod, workloadUid, options, ips);
  return record && { node, pod: record };
}

/** Undefined for a pod without a uid. */
export function capturedPodRecord(
  pod: Pod,
  workloadUid: string,
  options: Pick<RegistryOptions, "dnsCapture">,
  ips: readonly IpAddress[],
): CapturedPod | undefined {
  const { uid, name, namespace = "default", annotations } = pod.metadata;
  if (uid === undefined) return undefined;
  return {
    uid,
    name,
    namespace,
    serviceAccount: serviceAccountOf(pod),
    ips,
    workloadUid,
    bypassInboundCapture: annotations?.[BYPASS_INBOUND_ANNOTATION] === "true",
    dnsCapture: dnsCaptureOf(pod, options),
  };
}

/**
 * Whether the pod is the one that a container runtime knows by this uid: a static pod has one there
 * and another at the API server, where its mirror names the first.
 */
export function isRuntimesPod(pod: Pod, uid: string): boolean {
  const { metadata } = pod;
  return uid === "" || metadata.uid === uid || metadata.annotations?.[MIRROR_ANNOTATION] === uid;
}

/**
 * As the annotation says, else as the mesh does; but not of a pod that is a name server itself: it
 * would get the mesh's answers to what it asks for others, who may not be in the mesh.
 */
function dnsCaptureOf(pod: Pod, { dnsCapture }: Pick<RegistryOptions, "dnsCapture">): boolean {
  const annotation = pod.metadata.annotations?.[DNS_CAPTURE_ANNOTATION];
  if (annotation === "true" || annotation === "false") return annotation === "true";
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return dnsCapture && !ports.some(({ containerPort }) => containerPort === DNS_PORT);
}
