/**
 * The `WaypointAccepted` condition of policies with `targetRefs`, with Istio's reasons (ambient.md
 * 1.4 F83). istiod-lite binds nothing to a waypoint yet, so that such a policy is enforced nowhere:
 * its author must not believe otherwise.
 */

import type { Condition } from "#common/kubernetes/objects.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { condition } from "./status.ts";

export const WAYPOINT_ACCEPTED = "WaypointAccepted";

/** `targetRefs` are for waypoints alone: such a policy must never reach ztunnel. */
export function targetsWaypoint(spec: unknown): spec is Record<string, unknown> {
  if (!isJsonObject(spec)) return false;
  const list = Array.isArray(spec.targetRefs) ? spec.targetRefs.length > 0 : spec.targetRefs;
  return Boolean(list) || Boolean(spec.targetRef);
}

export function waypointCondition(
  spec: Record<string, unknown>,
  generation: number | undefined,
): Condition {
  const refs = Array.isArray(spec.targetRefs) ? spec.targetRefs : [spec.targetRef];
  const targets = refs.map(describeTarget).join(", ");
  const message = `${targets}: not bound to a waypoint, so nothing enforces this policy`;
  const type = WAYPOINT_ACCEPTED;
  return condition({ type, accepted: false, reason: "AncestorNotBound", message, generation });
}

function describeTarget(ref: unknown): string {
  return isJsonObject(ref) ? `${ref.kind ?? "?"} ${ref.name ?? "?"}` : "an unreadable target";
}
