/**
 * What istiod-lite writes back to objects that live in a folder: annotations, conditions and
 * Events, in one small JSON file per object beside the folder, so that the user's own files are
 * never touched.
 */

import type {
  Condition,
  KubernetesKind,
  KubernetesObject,
  ServiceEntryAddress,
} from "#common/kubernetes/objects.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

/** As `kubectl get events` shows it; times are RFC 3339. */
export interface OverlayEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** How often it happened in a row. */
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
}

export interface Overlay {
  readonly metadata: {
    /**
     * Of the object it belongs to: an object of the same name that came later has no part in it.
     */
    readonly uid?: string;
    /** Null takes an annotation away that the object itself has. */
    readonly annotations?: Readonly<Record<string, string | null>>;
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    /** Given to a ServiceEntry without addresses of its own; replaces what its status has. */
    readonly addresses?: readonly ServiceEntryAddress[];
    /** Replaces what the object's own status has. */
    readonly [field: string]: unknown;
  };
  /** Oldest first. */
  readonly events?: readonly OverlayEvent[];
}

/**
 * The file of an object's overlay, relative to the overlay folder. `objects/` uses the same layout.
 */
export function overlayPath(kind: KubernetesKind, namespace: string, name: string): string {
  return `${kind}/${namespace === "" ? "_" : namespace}/${name}.json`;
}

/** Reads an overlay file; undefined for anything that no istiod-lite wrote. */
export function parseOverlay(text: string): Overlay | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isOverlay(value) ? value : undefined;
}

/** Whether the overlay is of this very object, not of one of the same name before it. */
export function belongsTo(overlay: Overlay, object: KubernetesObject): boolean {
  return overlay.metadata.uid === object.metadata.uid;
}

/**
 * The object as an API server would show it. Returns the object itself if there is nothing to add.
 */
export function applyOverlay(object: KubernetesObject, overlay: Overlay): KubernetesObject {
  const annotations = Object.entries(overlay.metadata.annotations ?? {});
  const { conditions = [], ...fields } = overlay.status ?? {};
  const hasStatus = conditions.length > 0 || Object.keys(fields).length > 0;
  if (annotations.length === 0 && !hasStatus) return object;
  const merged = { ...object, metadata: { ...object.metadata } };
  if (annotations.length > 0) {
    const all = new Map<string, string | null>([
      ...Object.entries(object.metadata.annotations ?? {}),
      ...annotations,
    ]);
    const kept = [...all].filter(([, value]) => value !== null);
    Object.assign(merged.metadata, { annotations: Object.fromEntries(kept) });
  }
  if (hasStatus) {
    const status = statusOf(object);
    const all = mergeConditions(status.conditions ?? [], conditions);
    const given = all.length > 0 ? { conditions: all } : {};
    Object.assign(merged, { status: { ...status, ...fields, ...given } });
  }
  return merged;
}

/** The conditions of any object; kinds whose conditions nothing reads may still carry some. */
export function statusOf(object: KubernetesObject): { readonly conditions?: readonly Condition[] } {
  const { status } = object as { readonly status?: { readonly conditions?: readonly Condition[] } };
  return status ?? {};
}

/** `changes` by type over `conditions`, which keep their places; new types come last. */
export function mergeConditions(
  conditions: readonly Condition[],
  changes: readonly Condition[],
): Condition[] {
  const byType = new Map(conditions.map((condition) => [condition.type, condition]));
  for (const change of changes) byType.set(change.type, change);
  return [...byType.values()];
}

function isOverlay(value: unknown): value is Overlay {
  if (!isJsonObject(value) || !isJsonObject(value.metadata)) return false;
  const { metadata, status = {}, events = [] } = value;
  if ((metadata.uid !== undefined && !isText(metadata.uid)) || !isJsonObject(status)) return false;
  const { annotations = {} } = metadata;
  const { conditions = [], addresses = [] } = status;
  if (!isJsonObject(annotations) || !Array.isArray(conditions) || !Array.isArray(events))
    return false;
  if (!Array.isArray(addresses) || !addresses.every(isAddress)) return false;
  const texts = Object.values(annotations).every((text) => text === null || isText(text));
  return texts && conditions.every(isCondition) && events.every(isEvent);
}

function isAddress(value: unknown): boolean {
  return (
    isJsonObject(value) && isText(value.value) && (value.host === undefined || isText(value.host))
  );
}

function isCondition(value: unknown): boolean {
  if (!isJsonObject(value) || !isText(value.type)) return false;
  return value.status === "True" || value.status === "False" || value.status === "Unknown";
}

function isEvent(value: unknown): boolean {
  if (!isJsonObject(value) || !isText(value.reason) || !isText(value.message)) return false;
  const known = value.type === "Normal" || value.type === "Warning";
  return known && typeof value.count === "number" && isText(value.lastTimestamp);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
