/** The Gateway that makes a waypoint, as `istioctl waypoint generate` writes it. */
import type { Gateway, KubernetesObject } from "#common/kubernetes/objects.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import { MeshError } from "#common/runtime/errors.ts";

export const WAYPOINT_CLASS = "istio-waypoint";
export const WAYPOINT_FOR = "istio.io/waypoint-for";
export const REVISION = "istio.io/rev";
/** Source: istioctl, constants.DefaultNamespaceWaypoint. */
export const DEFAULT_WAYPOINT = "waypoint";
/** Sorted, as istioctl lists them. */
export const TRAFFIC_TYPES = ["all", "none", "service", "workload"] as const;

export interface GatewayOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly for?: (typeof TRAFFIC_TYPES)[number];
  readonly revision?: string;
}

/** Only what was asked for is labelled: the rest is the class's to say. */
export function waypointGateway(options: GatewayOptions): Gateway {
  const { name: given, namespace, for: traffic, revision } = options;
  const name = given === "" ? DEFAULT_WAYPOINT : given;
  if (name === "none") {
    const hint = 'give it another name: objects say "none" to have no waypoint';
    throw new MeshError("RESERVED_NAME", '"none" is a reserved value', { hint });
  }
  const labels = {
    ...(traffic !== undefined && { [WAYPOINT_FOR]: traffic }),
    ...(revision !== undefined && revision !== "" && { [REVISION]: revision }),
  };
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: {
      ...(Object.keys(labels).length > 0 && { labels }),
      name,
      ...(namespace !== undefined && { namespace }),
    },
    spec: {
      gatewayClassName: WAYPOINT_CLASS,
      listeners: [{ name: "mesh", port: HBONE_PORT, protocol: "HBONE" }],
    },
  };
}

export function isWaypoint(object: KubernetesObject): object is Gateway {
  return object.kind === "Gateway" && object.spec.gatewayClassName === WAYPOINT_CLASS;
}

/** The condition `Programmed`. */
export function programmedOf({ status }: Gateway) {
  return status?.conditions?.find(({ type }) => type === "Programmed");
}
