/**
 * Whose an object is. The kinds of Istio and our own are the mesh's; those of the Gateway API serve
 * other implementations as well, whose objects are none of our business.
 */

import { GATEWAY_GROUP } from "#common/kubernetes/validate/gateway.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { WAYPOINT_CLASS } from "../registry/waypoints/names.ts";
import type { MeshPreview } from "./mesh-preview.ts";

/** What routes of a mesh are attached to. */
const MESH_PARENTS: ReadonlySet<unknown> = new Set(["Service", "ServiceEntry"]);

export function isOurs(object: JsonObject, preview: Pick<MeshPreview, "isWaypoint">): boolean {
  if (!String(object.apiVersion).startsWith(`${GATEWAY_GROUP}/`)) return true;
  const spec = isJsonObject(object.spec) ? object.spec : {};
  if (object.kind === "Gateway") return spec.gatewayClassName === WAYPOINT_CLASS;
  const own = isJsonObject(object.metadata) ? object.metadata.namespace : undefined;
  const parents: readonly unknown[] = Array.isArray(spec.parentRefs) ? spec.parentRefs : [];
  return parents.some((parent) => {
    if (!isJsonObject(parent)) return false;
    if (MESH_PARENTS.has(parent.kind)) return true;
    return preview.isWaypoint(`${parent.namespace ?? own}/${parent.name}`);
  });
}
