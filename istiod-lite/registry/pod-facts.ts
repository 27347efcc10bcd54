/** Small facts about objects, pods above all, that several parts of the registry ask for. */
import type { ObjectMeta, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";

/** `<namespace>/<name>`. */
export function namespacedName(object: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${object.metadata.namespace ?? "default"}/${object.metadata.name}`;
}

/** When the object was created; Infinity where it does not say. */
export function createdMs(object: { readonly metadata: ObjectMeta } | undefined): number {
  const ms = Date.parse(object?.metadata.creationTimestamp ?? "");
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms;
}

/**
 * A pod that has run to its end keeps its record and its address in the API, but not in the mesh.
 */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Ready and not on its way out: what makes Kubernetes list a pod as a ready endpoint. */
export function isHealthy(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && isReady(pod);
}

/**
 * The pod's addresses in the order of `status.podIPs`, each once; texts that are no address are
 * skipped.
 */
export function podAddresses(pod: Pod): readonly IpAddress[] {
  const { podIPs, podIP } = pod.status ?? {};
  const texts = podIPs?.map(({ ip }) => ip) ?? (podIP === undefined ? [] : [podIP]);
  return [...new Set(texts.flatMap((text) => parseIp(text) ?? []))];
}

/** Whether the addresses are the pod's own: a host-network pod shares its node's. */
export function ownsItsAddresses(pod: Pod): boolean {
  return pod.spec.hostNetwork !== true && !isTerminal(pod);
}

export function serviceAccountOf(pod: Pod): string {
  return pod.spec.serviceAccountName ?? "default";
}
