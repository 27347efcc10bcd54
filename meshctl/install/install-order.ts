/** In which order objects are made, and unmade. Pure. */
import type { Manifest } from "./manifest.ts";

/** What later ones need comes first; kinds that are not named are in place of "*". */
const PHASES: readonly (readonly string[])[] = [
  ["Namespace"],
  ["CustomResourceDefinition"],
  ["PriorityClass", "ResourceQuota", "ServiceAccount", "ClusterRole", "Role"],
  ["ClusterRoleBinding", "RoleBinding"],
  ["ConfigMap", "Secret", "NetworkPolicy", "Service"],
  ["*"],
  ["PodDisruptionBudget", "HorizontalPodAutoscaler"],
  ["Deployment"],
  ["DaemonSet"],
  // Refuses what istiod-lite does not answer for: never before it can.
  ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
];

function phaseOf({ kind }: Manifest): number {
  const own = PHASES.findIndex((kinds) => kinds.includes(kind));
  return own >= 0 ? own : PHASES.findIndex((kinds) => kinds.includes("*"));
}

/** Stable: objects of a phase keep their order. */
export function installOrder(manifests: readonly Manifest[]): readonly Manifest[] {
  return manifests.toSorted((a, b) => phaseOf(a) - phaseOf(b));
}

/** What guards or uses others goes first: the webhook, then the programs, the namespace last. */
export function uninstallOrder(manifests: readonly Manifest[]): readonly Manifest[] {
  return installOrder(manifests).toReversed();
}
