/**
 * What belongs to an installation: the label that all of its manifests carry. What istiod-lite
 * makes for users' Gateways is no part of it, and carries labels of its own.
 */

import { isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll } from "#common/kube-client/list-collection.ts";
import { collectionPath, resourceOf } from "#common/kube-client/resources.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import type { Manifest } from "./manifest.ts";

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
  const labels = isJsonObject(object.metadata) ? object.metadata.labels : undefined;
  return isJsonObject(labels) && labels[PART_OF_LABEL] === PART_OF;
}

/** Everything in the cluster that carries the label, of kinds that the cluster serves. */
export async function findInstalled(client: KubeClient): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  const labelSelector = `${PART_OF_LABEL}=${PART_OF}`;
  for (const kind of KINDS) {
    const { apiVersion } = resourceOf(kind);
    const collection = { path: collectionPath(kind), labelSelector };
    const items = await listAll<Manifest>(client, collection).catch((error: unknown) => {
      if (isNotFound(error)) return [];
      throw error;
    });
    found.push(...items.map((item) => ({ ...item, apiVersion, kind })));
  }
  return found;
}

/** Made by `meshctl install`, not by `kubectl apply -k`. */
export function isAppliedBy(object: JsonObject, manager: string): boolean {
  const fields = isJsonObject(object.metadata) ? object.metadata.managedFields : undefined;
  if (!Array.isArray(fields)) return false;
  return fields.some(
    (one) => isJsonObject(one) && one.manager === manager && one.operation === "Apply",
  );
}
