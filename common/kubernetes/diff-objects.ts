/** What changed between two sets of objects, as the change stream that a watch would deliver. */
import { isDeepStrictEqual } from "node:util";
import {
  type KubernetesKind,
  type KubernetesObject,
  type ObjectChange,
  objectKey,
} from "#common/kubernetes/objects.ts";

/** Objects come after what they refer to, so that a consumer of single changes sees few gaps. */
const KIND_ORDER: readonly KubernetesKind[] = [
  "Node",
  "Namespace",
  "ServiceAccount",
  "ConfigMap",
  "GatewayClass",
  "Gateway",
  "PeerAuthentication",
  "AuthorizationPolicy",
  "Service",
  "Deployment",
  "Pod",
  "EndpointSlice",
  "WorkloadEntry",
  "ServiceEntry",
  "RequestAuthentication",
  "RateLimitPolicy",
  "Telemetry",
  "ReferenceGrant",
  "BackendTLSPolicy",
  "DestinationRule",
  "VirtualService",
  "HTTPRoute",
  "GRPCRoute",
  "TLSRoute",
  "TCPRoute",
];

/**
 * Deletions first (dependents before what they refer to), then additions and changes, by kind and
 * key: the same inputs give the same changes in the same order. Of two objects with one key the
 * first counts.
 */
export function diffObjects(
  before: Iterable<KubernetesObject>,
  after: Iterable<KubernetesObject>,
): ObjectChange[] {
  const old = byKey(before);
  const now = byKey(after);
  const changes: ObjectChange[] = [];
  for (const [key, object] of old) {
    if (!now.has(key)) changes.push({ key, kind: object.kind });
  }
  for (const [key, object] of now) {
    const previous = old.get(key);
    if (previous === object || isDeepStrictEqual(previous, object)) continue;
    changes.push({ key, kind: object.kind, object });
  }
  return orderChanges(changes);
}

/** The order of `diffObjects`, for changes of different keys. */
export function orderChanges(changes: readonly ObjectChange[]): ObjectChange[] {
  const deleted = changes.filter(({ object }) => object === undefined);
  const upserted = changes.filter(({ object }) => object !== undefined);
  return [...deleted.sort((a, b) => compare(b, a)), ...upserted.sort(compare)];
}

function byKey(objects: Iterable<KubernetesObject>): Map<string, KubernetesObject> {
  const map = new Map<string, KubernetesObject>();
  for (const object of objects) {
    const key = objectKey(object);
    if (!map.has(key)) map.set(key, object);
  }
  return map;
}

function compare(a: ObjectChange, b: ObjectChange): number {
  const byKind = KIND_ORDER.indexOf(a.kind) - KIND_ORDER.indexOf(b.kind);
  if (byKind !== 0) return byKind;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
