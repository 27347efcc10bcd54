/** Which pods have to wait for the mesh before their programs begin. */
import type { Namespace, Pod } from "#common/kubernetes/objects.ts";
import type { Overlay } from "#common/kubernetes/overlay.ts";

// Sources: istio/api label/labels.yaml and annotation/annotations.yaml.
const DATAPLANE_MODE_LABEL = "istio.io/dataplane-mode";
const REDIRECTION_ANNOTATION = "ambient.istio.io/redirection";
/** Pods of this namespace are never captured: istio-cni's default. */
const EXCLUDED_NAMESPACE = "kube-system";

/** Whether labels ask for capture, by Istio's rules; istiod-lite has the last word. */
export function asksForCapture(pod: Pod, namespace: Namespace | undefined): boolean {
  const own = pod.metadata.labels?.[DATAPLANE_MODE_LABEL];
  if (pod.spec.hostNetwork === true || own === "none") return false;
  if (pod.metadata.namespace === EXCLUDED_NAMESPACE) return false;
  return (own ?? namespace?.metadata.labels?.[DATAPLANE_MODE_LABEL]) === "ambient";
}

/** Whether the mesh has said that it has the pod's traffic. */
export function isCaptured(overlay: Overlay | undefined): boolean {
  return overlay?.metadata.annotations?.[REDIRECTION_ANNOTATION] === "enabled";
}
