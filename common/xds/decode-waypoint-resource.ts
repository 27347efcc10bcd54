/** ambientmesh.waypoint.Resource from the wire. */
import { type WaypointResource, waypointResource } from "#common/model/waypoint/resource.ts";
import { ShapeError } from "#common/model/waypoint/shape.ts";
import { decodeMessage, invalidResource } from "./decode-wire.ts";
import { ResourceSchema } from "./gen/ambient/waypoint_pb.js";

/** Throws MeshError INVALID_RESOURCE, with the path, for what is not exactly what we know. */
export function decodeWaypointResource(bytes: Uint8Array): WaypointResource {
  const { json } = decodeMessage(ResourceSchema, bytes);
  try {
    return waypointResource.parse(parseJson(json), "resource");
  } catch (error) {
    throw error instanceof ShapeError ? invalidResource(error.message) : error;
  }
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw invalidResource(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
