/** ambientmesh.waypoint.Resource to the wire. Equal values give equal bytes. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { WaypointResource } from "#common/model/waypoint/resource.ts";
import { ResourceSchema } from "./gen/ambient/waypoint_pb.js";

export function encodeWaypointResource(resource: WaypointResource): Uint8Array {
  return toBinary(
    ResourceSchema,
    create(ResourceSchema, { json: JSON.stringify(inOrder(resource)) }),
  );
}

/** With the fields of every object in the order of their names. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, inOrder(field)]),
  );
}
