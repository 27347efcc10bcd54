/**
 * What belongs to an installation: the label that all of its manifests carry. What istiod-lite
 * makes for users' Gateways is no part of it, and carries labels of its own.
 */

import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { isObject, type JsonObject, type Manifest } from "./manifest.ts";

/** Of Kubernetes' recommended labels. Every manifest says it (manifests/base). */
export const PART_OF_LABEL = "app.kubernetes.io/part-of";
export const PART_OF = "ambient-mesh";

/** Kinds that an installation can have; listed to find what is there. */
const KINDS = [
  "Namespace",
  "CustomResourceDefinition",
  "PriorityClass",
  "ServiceAccount",
  "ClusterRole",
  "Role",
  "ClusterRoleBinding",
  "RoleBinding",
  "ConfigMap",
  "ResourceQuota",
  "NetworkPolicy",
  "Service",
  "GatewayClass",
  "PodDisruptionBudget",
  "HorizontalPodAutoscaler",
  "Deployment",
  "DaemonSet",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
] as const;

export function isOurs(object: JsonObject): boolean {
  const labels = isObject(object.metadata) ? object.metadata.labels : undefined;
  return isObject(labels) && labels[PART_OF_LABEL] === PART_OF;
}

/** Everything in the cluster that carries the label, of kinds that the cluster serves. */
export async function findInstalled(client: KubeClient): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  for (const kind of KINDS) {
    const path = collectionPath(kind);
    const query = { labelSelector: `${PART_OF_LABEL}=${PART_OF}` };
    const list = await client.request({ method: "GET", path, query }).catch((error: unknown) => {
      if (isNotFound(error)) return { items: [] };
      throw error;
    });
    if (!isObject(list) || !Array.isArray(list.items)) continue;
    // Items of a list come without the two.
    found.push(...list.items.map((item) => ({ ...item, apiVersion: list.apiVersion, kind })));
  }
  return found;
}

/** Made by `meshctl install`, not by `kubectl apply -k`. */
export function isAppliedBy(object: JsonObject, manager: string): boolean {
  const fields = isObject(object.metadata) ? object.metadata.managedFields : undefined;
  if (!Array.isArray(fields)) return false;
  return fields.some(
    (one) => isObject(one) && one.manager === manager && one.operation === "Apply",
  );
}
