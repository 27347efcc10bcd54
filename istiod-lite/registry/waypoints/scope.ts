/** Which pods are whose waypoint's, and how resources are scoped to them. */

/** Source: Gateway API's GEP-1762; Istio's waypoint template puts it on every pod. */
export const GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name";

/** `PublishedResource.scope` of what only the waypoint `<namespace>/<name>` is told. */
export function waypointScope(waypoint: string): string {
  return `waypoint/${waypoint}`;
}

/** `<namespace>/<name>` of the Gateway that a pod says it belongs to. */
export function gatewayOf({
  namespace = "default",
  labels = {},
}: {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}): string | undefined {
  const name = labels[GATEWAY_NAME_LABEL];
  return name === undefined || name === "" ? undefined : `${namespace}/${name}`;
}
