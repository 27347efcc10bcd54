/** From which namespaces a Gateway's listener takes routes and, for a waypoint, objects. */
import type { NamespaceSelector } from "#common/kubernetes/gateway-objects.ts";
import type { Labels } from "../label-index.ts";
import type { Waypoint } from "./waypoint-facts.ts";

/** Set by the API server on every namespace. Source: Kubernetes' well-known labels. */
const NAME_LABEL = "kubernetes.io/metadata.name";

/** Whether objects of the namespace may use the waypoint. */
export function allows(waypoint: Waypoint, namespace: string, labels: Labels): boolean {
  const { from = "Same", selector } = waypoint.allowed;
  if (from === "All") return true;
  if (from === "Same") return namespace === waypoint.namespace;
  if (from === "None" || selector === undefined) return false;
  return selects(selector, { ...labels, [NAME_LABEL]: namespace });
}

/** Kubernetes' LabelSelector; what is not understood selects nothing. */
export function selects(selector: NamespaceSelector, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const exact = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return exact && matchExpressions.every((expression) => holds(expression, labels));
}

function holds(
  { key, operator, values = [] }: NonNullable<NamespaceSelector["matchExpressions"]>[number],
  labels: Labels,
): boolean {
  const value = labels[key];
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      return false;
  }
}
