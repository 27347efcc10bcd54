/** How much of its share an endpoint that is new gets. Source: Envoy, slow start mode. */
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";

type LoadBalancer = NonNullable<TrafficPolicy["loadBalancer"]>;

/** Source: Envoy, SlowStartConfig.min_weight_percent. */
const MINIMUM_PERCENT = 10;

/** In (0, 1]; `ageMs`: since the endpoint was first seen. */
export function warmth(policy: LoadBalancer, ageMs: number): number {
  const { warmupMs = 0, warmupMinimumPercent = MINIMUM_PERCENT, warmupAggression = 1 } = policy;
  if (warmupMs <= 0 || ageMs >= warmupMs) return 1;
  const grown = Math.max(ageMs, 1) / warmupMs;
  const share = grown ** (1 / Math.max(warmupAggression, 0.01));
  return Math.max(warmupMinimumPercent / 100, share, 0.001);
}
