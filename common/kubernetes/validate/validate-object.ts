/** The one entrance to validation: JSON in, a typed object and the issues out. */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { Issue } from "#common/kubernetes/problem.ts";

export interface Validation {
  /** The object with defaults filled in and nulls removed; absent when there is any error. */
  readonly object?: KubernetesObject;
  readonly issues: readonly Issue[];
  /** Set, and nothing else, when the mesh does not read this kind: `kind X` or `kind X of group`. */
  readonly unknownKind?: string;
}

/** Validates any JSON value as a Kubernetes object. Does not change its argument. */
export function validateObject(value: unknown): Validation {
  return { issues: [{ severity: "error", path: [], message: `unreadable ${typeof value}` }] };
}
