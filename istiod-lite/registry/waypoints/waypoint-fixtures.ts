/** Gateways and what runs them, for the tests of binding and of what waypoints are told. */
import type { Gateway, KubernetesObject, ObjectMeta } from "#common/kubernetes/objects.ts";
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { decodeWaypointResource } from "#common/xds/decode-waypoint-resource.ts";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { makePod, makeService } from "../registry-fixtures.ts";
import type { ResourceView } from "../resource-table.ts";

type Namespaces = NonNullable<
  NonNullable<Gateway["spec"]["listeners"][number]["allowedRoutes"]>["namespaces"]
>;

/** A Gateway of namespace shop with one HBONE listener, unless said otherwise. */
export function makeGateway(
  name = "waypoint",
  metadata: Partial<ObjectMeta> = {},
  namespaces?: Namespaces,
): Gateway {
  const listener = { name: "mesh", port: 15_008, protocol: "HBONE" };
  const allowedRoutes = namespaces && { namespaces };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name, namespace: "shop", ...metadata },
    spec: {
      gatewayClassName: "istio-waypoint",
      listeners: [{ ...listener, ...(allowedRoutes && { allowedRoutes }) }],
    },
  };
}

/** The Service and the one pod of a waypoint: with these it is programmed. */
export function waypointBackend(
  name = "waypoint",
  namespace = "shop",
  ready = true,
): readonly [KubernetesObject, KubernetesObject] {
  const labels = { "gateway.networking.k8s.io/gateway-name": name };
  const service = makeService(
    name,
    { clusterIP: "10.96.9.9", selector: labels, ports: [{ name: "mesh", port: 15_008 }] },
    { namespace },
  );
  const pod = makePod({
    name: `${name}-1`,
    namespace,
    labels: { ...labels, "networking.istio.io/tunnel": "http" },
    ips: ["10.0.9.9"],
    ready,
    spec: { serviceAccountName: name },
  });
  return [service, pod];
}

/** What a waypoint is told, by the kind and the name of each resource: `service/shop/web…`. */
export function toldTo(
  view: ResourceView,
  waypoint: string,
): ReadonlyMap<string, WaypointResource> {
  const told = new Map<string, WaypointResource>();
  for (const { name, scope, value } of view.all(WAYPOINT_TYPE)) {
    if (scope !== `waypoint/${waypoint}`) continue;
    told.set(name.slice(waypoint.length + 1), decodeWaypointResource(value));
  }
  return told;
}
