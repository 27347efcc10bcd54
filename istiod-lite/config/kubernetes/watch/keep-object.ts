/**
 * Objects as they are kept: without the fields that nothing reads, which are most of what an API
 * server sends of a pod, and which change most often.
 */

import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { CONFIG_MAP_VALUE_CHARACTERS } from "#istiod-lite/config/kubernetes/limits.ts";
import type { WatchedKind } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

/** Source: istio/api, and `istiod-lite/registry/waypoints/names.ts`. */
const WAYPOINT_BOUND = "istio.io/WaypointBound";

/** Written by `kubectl apply`: the whole object once more. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

const METADATA = [
  "name",
  "namespace",
  "uid",
  "labels",
  "annotations",
  "creationTimestamp",
  "deletionTimestamp",
  "generation",
] as const;
const OWNER = ["apiVersion", "kind", "name", "controller"] as const;
const POD_SPEC = [
  "nodeName",
  "serviceAccountName",
  "hostNetwork",
  "hostname",
  "subdomain",
] as const;
const POD_STATUS = ["phase", "podIP", "podIPs", "hostIP"] as const;
const CONTAINER_PORT = ["name", "containerPort", "protocol"] as const;
const SERVICE_SPEC = [
  "type",
  "clusterIP",
  "clusterIPs",
  "ipFamilies",
  "ipFamilyPolicy",
  "selector",
  "externalName",
  "publishNotReadyAddresses",
  "internalTrafficPolicy",
  "trafficDistribution",
  "sessionAffinity",
] as const;
const SERVICE_PORT = ["name", "port", "targetPort", "protocol", "appProtocol"] as const;
const ENDPOINT = ["addresses", "conditions", "nodeName", "hostname"] as const;
const TARGET = ["kind", "namespace", "name", "uid"] as const;
const SLICE_PORT = ["name", "port", "protocol", "appProtocol"] as const;

/** Items of a list do not say of what kind they are. The argument is not changed. */
export function keepObject(kind: WatchedKind, apiVersion: string, object: JsonObject): JsonObject {
  const metadata = keepMetadata(object.metadata);
  const base = { apiVersion, kind, metadata };
  switch (kind) {
    case "Pod":
      return { ...base, spec: keepPodSpec(object.spec), status: keepPodStatus(object.status) };
    case "Service":
      return { ...base, spec: keepServiceSpec(object.spec), ...keepBound(object.status) };
    case "EndpointSlice":
      return { ...base, ...keepSlice(object) };
    case "Node":
      return {
        ...base,
        spec: pick(object.spec, ["podCIDR", "podCIDRs", "taints"]),
        status: pick(object.status, ["addresses"]),
      };
    case "Namespace":
      return base;
    case "ConfigMap":
      return { ...base, data: keepData(object.data) };
    default:
      return { ...object, ...base };
  }
}

function pick(value: unknown, keys: readonly string[]): unknown {
  if (!isJsonObject(value)) return value;
  const kept: Record<string, unknown> = {};
  for (const key of keys) {
    const field = value[key];
    if (field !== undefined && field !== null) kept[key] = field;
  }
  return kept;
}

function each(value: unknown, keep: (item: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map(keep) : value;
}

function keepMetadata(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const kept = pick(value, METADATA) as Record<string, unknown>;
  const { annotations } = kept;
  if (isJsonObject(annotations) && Object.hasOwn(annotations, LAST_APPLIED)) {
    const { [LAST_APPLIED]: _, ...others } = annotations;
    kept.annotations = others;
  }
  if (Array.isArray(value.ownerReferences)) {
    kept.ownerReferences = value.ownerReferences.map((owner) => pick(owner, OWNER));
  }
  return kept;
}

function keepPodSpec(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const containers: readonly unknown[] = Array.isArray(value.containers) ? value.containers : [];
  const first: readonly unknown[] = Array.isArray(value.initContainers) ? value.initContainers : [];
  // Of sidecars, the ports count as any container's.
  const sidecars = first.filter((item) => isJsonObject(item) && item.restartPolicy === "Always");
  return {
    ...(pick(value, POD_SPEC) as JsonObject),
    containers: [...containers, ...sidecars].map(keepContainer),
  };
}

function keepContainer(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const ports = each(value.ports, (port) => pick(port, CONTAINER_PORT));
  return { name: value.name, image: value.image, ...(ports !== undefined && { ports }) };
}

/** Of the conditions, `Ready` alone is read, and of it whether it is. */
function keepPodStatus(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const { conditions } = value;
  const ready = Array.isArray(conditions)
    ? conditions.filter((condition) => isJsonObject(condition) && condition.type === "Ready")
    : [];
  return {
    ...(pick(value, POD_STATUS) as JsonObject),
    ...(ready.length > 0 && { conditions: each(ready, (item) => pick(item, ["type", "status"])) }),
  };
}

function keepServiceSpec(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  const ports = each(value.ports, (port) => pick(port, SERVICE_PORT));
  return { ...(pick(value, SERVICE_SPEC) as JsonObject), ...(ports !== undefined && { ports }) };
}

/** What we said of it, to take it back: of other conditions nothing is read. */
function keepBound(status: unknown): JsonObject {
  const all = isJsonObject(status) && Array.isArray(status.conditions) ? status.conditions : [];
  const bound = all.filter(
    (condition) => isJsonObject(condition) && condition.type === WAYPOINT_BOUND,
  );
  return bound.length === 0 ? {} : { status: { conditions: bound } };
}

function keepSlice(object: JsonObject): JsonObject {
  const endpoints = each(object.endpoints ?? [], (endpoint) => {
    if (!isJsonObject(endpoint)) return endpoint;
    const { targetRef } = endpoint;
    const kept = pick(endpoint, ENDPOINT) as JsonObject;
    return isJsonObject(targetRef) ? { ...kept, targetRef: pick(targetRef, TARGET) } : kept;
  });
  const ports = each(object.ports ?? [], (port) => pick(port, SLICE_PORT));
  return { addressType: object.addressType, endpoints, ports };
}

function keepData(value: unknown): unknown {
  if (!isJsonObject(value)) return {};
  const short = ([, text]: readonly [string, unknown]): boolean =>
    typeof text !== "string" || text.length <= CONFIG_MAP_VALUE_CHARACTERS;
  return Object.fromEntries(Object.entries(value).filter(short));
}
