/** Whether a pod is ready, by what its kubelet says. */
import type { Pod } from "#common/kubernetes/objects.ts";

export function isReady({ status }: Pod): boolean {
  return (status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
}
