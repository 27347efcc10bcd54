/**
 * What a waypoint subscribes to at the control plane: every address of the mesh, and the resources
 * of its own, which istiod-lite knows by the caller's token. What is held stays in force while the
 * control plane is away, and where a resource cannot be read its last good version does.
 */
import type { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { decodeWaypointResource } from "#common/xds/decode-waypoint-resource.ts";
import { ResourceHandler } from "#common/xds/resource-handler.ts";
import { addressHandler } from "#common/xds/state-feed.ts";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import type { WaypointStore } from "./waypoint-store.ts";

export function waypointHandlers(
  mesh: Pick<ProxyState, "apply">,
  store: Pick<WaypointStore, "apply">,
): readonly ResourceHandler[] {
  return [
    addressHandler((update) => void mesh.apply(update)),
    ResourceHandler.of({
      typeUrl: WAYPOINT_TYPE,
      decode: decodeWaypointResource,
      apply: (upserts, removed) => store.apply({ upserts, removed }),
    }),
  ];
}
