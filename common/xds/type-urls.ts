/**
 * The xDS resource types of the mesh. Source: istio/ztunnel src/xds/types.rs; those of
 * ambientmesh are ours.
 */

export const ADDRESS_TYPE = "type.googleapis.com/istio.workload.Address";
export const AUTHORIZATION_TYPE = "type.googleapis.com/istio.security.Authorization";
export const CAPTURED_POD_TYPE = "type.googleapis.com/ambientmesh.capture.Pod";

export const WAYPOINT_TYPE = "type.googleapis.com/ambientmesh.waypoint.Resource";

export const TYPE_URLS = [
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  CAPTURED_POD_TYPE,
  WAYPOINT_TYPE,
] as const;
export type TypeUrl = (typeof TYPE_URLS)[number];

export function isTypeUrl(text: string): text is TypeUrl {
  return (TYPE_URLS as readonly string[]).includes(text);
}
