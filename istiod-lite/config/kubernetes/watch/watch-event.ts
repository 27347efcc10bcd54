/** One line of a watch. Source: metav1.WatchEvent. */

import { eventError } from "#common/kube-client/api-status.ts";
import { KubeApiError } from "#common/kube-client/kube-client.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: JsonObject;
  /** Where the next watch may go on from. */
  readonly resourceVersion: string;
}

/** Undefined for types that nobody knows yet. Throws `KubeApiError` for ERROR and for garbage. */
export function readWatchEvent(line: unknown, path: string): WatchEvent | undefined {
  const { type, object } = isJsonObject(line) ? line : {};
  if (type === "ERROR") throw eventError(`watch ${path}`, object);
  const metadata = isJsonObject(object) ? object.metadata : undefined;
  const resourceVersion = isJsonObject(metadata) ? metadata.resourceVersion : undefined;
  if (typeof type !== "string" || !isJsonObject(object) || typeof resourceVersion !== "string") {
    const message = `watch ${path}: a line is no event of an object`;
    throw new KubeApiError(message, { status: 0, reason: "BadAnswer" });
  }
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return { type, object, resourceVersion };
    default:
      return undefined;
  }
}

/**
 * Whether `version` is from before `other`: of two numbers the smaller one. Texts that are no
 * numbers cannot be compared. Source: Kubernetes' documentation, "Resource versions".
 */
export function isOlder(version: string, other: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(other)) return false;
  if (version.length !== other.length) return version.length < other.length;
  return version < other;
}
