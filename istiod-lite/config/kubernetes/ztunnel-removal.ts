/**
 * Whether ztunnel is being taken off the nodes for good: its DaemonSets are gone, or on their way.
 * A rolling update, a restart or an evicted pod leaves the DaemonSet as it is.
 */
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath } from "#common/kube-client/resources.ts";

/** Source of the label: Istio's chart. */
const SELECTOR = "app=ztunnel";

/** Throws what the API server refused with: then nobody knows. */
export async function areZtunnelsRemoved(client: KubeClient, namespace: string): Promise<boolean> {
  const path = collectionPath("DaemonSet", namespace);
  const list = await client.request({ method: "GET", path, query: { labelSelector: SELECTOR } });
  const items = (list as { items?: unknown } | undefined)?.items;
  if (!Array.isArray(items)) return false;
  return items.every((item) => item?.metadata?.deletionTimestamp !== undefined);
}
