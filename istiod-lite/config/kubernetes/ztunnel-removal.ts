/**
 * Whether ztunnel is being taken off the nodes for good: every DaemonSet of its account is gone, or
 * on its way. A rolling update, a restart or an evicted pod leaves the DaemonSet as it is.
 */
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll } from "#common/kube-client/list-collection.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { ZTUNNEL_ACCOUNT } from "#istiod-lite/ca/caller.ts";
import type { StoredObject } from "#istiod-lite/config/kubernetes/write/stored-object.ts";

interface DaemonSet extends StoredObject {
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly serviceAccountName?: string } };
  };
}

/**
 * `ztunnel`: the pod of the one that ends. Of one that no DaemonSet made, nobody can tell what
 * follows it. Throws what the API server refused with: then nobody knows either.
 */
export async function areZtunnelsRemoved(
  client: KubeClient,
  ztunnel: KubernetesObject | undefined,
): Promise<boolean> {
  const { namespace, ownerReferences = [] } = ztunnel?.metadata ?? {};
  if (!ownerReferences.some(({ kind, controller }) => controller && kind === "DaemonSet")) {
    return false;
  }
  const all = await listAll<DaemonSet>(client, { path: collectionPath("DaemonSet", namespace) });
  return all
    .filter(({ spec }) => spec?.template?.spec?.serviceAccountName === ZTUNNEL_ACCOUNT)
    .every(({ metadata }) => metadata.deletionTimestamp !== undefined);
}
