/** What became of a label that names a waypoint, and what its condition says of a canary. */
import type { Condition } from "#common/kubernetes/objects.ts";
import { WAYPOINT_BOUND } from "./names.ts";
import type { TrafficType, Waypoint } from "./waypoint-facts.ts";

export interface BoundCondition {
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

/** What a waypoint that is named makes of it. */
export type Verdict =
  | { readonly kind: "nothing" }
  | { readonly kind: "accepted"; readonly waypoint: Waypoint }
  | { readonly kind: "not-carried"; readonly carries: TrafficType }
  | { readonly kind: "denied"; readonly waypoint: Waypoint }
  | { readonly kind: "not-ready"; readonly waypoint: Waypoint | undefined; readonly why: string };

/** Why a canary gets no traffic; undefined where nothing stands in its way. */
export function canaryProblem(
  primary: string,
  canary: string,
  verdict: Verdict,
  weight: number | undefined,
): Omit<BoundCondition, "status"> | undefined {
  const rest = `all traffic passes waypoint "${primary}"`;
  if (primary === canary) {
    const message = `canary waypoint "${canary}" must differ from the primary waypoint; ${rest}`;
    return { reason: "CanarySameAsPrimary", message };
  }
  if (weight === undefined) {
    const rule = "has an invalid weight; must be an integer in [0,100]";
    const message = `canary waypoint "${canary}" ${rule}; ${rest}`;
    return { reason: "CanaryInvalidWeight", message };
  }
  switch (verdict.kind) {
    case "denied":
      return {
        reason: "AttachmentDenied",
        message: `not permitted to attach to canary waypoint "${canary}"; ${rest}`,
      };
    case "not-carried":
      return {
        reason: "UnsupportedTrafficType",
        message: `canary waypoint "${canary}" is for ${verdict.carries}; ${rest}`,
      };
    case "not-ready":
      return {
        reason: "WaypointIsNotReady",
        message: `canary waypoint "${canary}" is not ready: ${verdict.why}; ${rest}`,
      };
    default:
      return undefined;
  }
}

/** The condition as objects carry it: none where nothing was asked for. */
export function boundConditions(
  binding: { readonly condition?: BoundCondition } | undefined,
  generation: number | undefined,
): readonly Condition[] {
  if (binding?.condition === undefined) return [];
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  return [{ type: WAYPOINT_BOUND, ...binding.condition, ...observed }];
}
