/**
 * Which pods a Deployment wants, and which of those there are must go; a rolling update step by
 * step.
 */
import { createHash } from "node:crypto";
import type { Deployment, Pod } from "#common/kubernetes/objects.ts";

/**
 * What Kubernetes draws generated names from: no vowels, nothing that looks like something else.
 */
const NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const HASH_LENGTH = 10;
const SUFFIX_LENGTH = 5;

/** The label by which a ReplicaSet's pods are told from those of another template. */
export const POD_TEMPLATE_HASH_LABEL = "pod-template-hash";

/** A pod that a Deployment has now. */
export interface OwnedPod {
  readonly name: string;
  readonly templateHash: string;
  readonly ready: boolean;
  /** Rises with the age of the cluster. */
  readonly order: number;
}

export interface PodPlan {
  /** How many pods of the current template to make. */
  readonly create: number;
  readonly remove: readonly string[];
}

/** A hash of the template, as ReplicaSets carry it in their names. */
export function templateHash(deployment: Deployment): string {
  const digest = createHash("sha256").update(JSON.stringify(deployment.spec.template)).digest();
  return nameCharacters(digest, HASH_LENGTH);
}

/**
 * The next step: pods of the current template up to the wanted number; of old templates only as
 * many as are needed until the new ones are ready. Going down, pods that are not ready go first,
 * then the youngest.
 */
export function planPods(
  replicas: number,
  currentHash: string,
  pods: readonly OwnedPod[],
): PodPlan {
  const current = pods.filter((pod) => pod.templateHash === currentHash);
  const old = pods.filter((pod) => pod.templateHash !== currentHash);
  const surplus = dispensable(current).slice(0, Math.max(0, current.length - replicas));
  const readyCurrent = current.filter((pod) => pod.ready).length;
  const oldKept = Math.max(0, replicas - readyCurrent);
  const superseded = dispensable(old).slice(0, Math.max(0, old.length - oldKept));
  return {
    create: Math.max(0, replicas - current.length),
    remove: [...surplus, ...superseded].map((pod) => pod.name),
  };
}

function dispensable(pods: readonly OwnedPod[]): readonly OwnedPod[] {
  return [...pods].sort((a, b) => Number(a.ready) - Number(b.ready) || b.order - a.order);
}

/** A pod as a Deployment's ReplicaSet would make it. */
export function podFromTemplate(deployment: Deployment, hash: string, suffix: string): Pod {
  const { name, namespace } = deployment.metadata;
  const { metadata = {}, spec } = deployment.spec.template;
  const replicaSet = `${name}-${hash}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${replicaSet}-${suffix}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...metadata.labels, [POD_TEMPLATE_HASH_LABEL]: hash },
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: replicaSet, controller: true },
      ],
    },
    spec,
  };
}

/** The random end of a generated pod name. */
export function podNameSuffix(random: Uint8Array): string {
  return nameCharacters(random, SUFFIX_LENGTH);
}

function nameCharacters(bytes: Uint8Array, length: number): string {
  return Array.from(
    { length },
    (_, i) => NAME_ALPHABET[(bytes[i] ?? 0) % NAME_ALPHABET.length],
  ).join("");
}
