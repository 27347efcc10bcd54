/** How many objects have a waypoint that is not there, in istiod-lite's metrics. */
import { Gauge, type Registry as MetricsRegistry } from "prom-client";
import type { Registry } from "./registry/registry.ts";

/** `ambient_waypoint_unavailable_objects{outcome}`: by what becomes of the traffic meanwhile. */
export function countUnavailableWaypoints(
  metrics: MetricsRegistry,
  registry: Pick<Registry, "waypointsUnavailable">,
): void {
  const gauge = new Gauge({
    name: "ambient_waypoint_unavailable_objects",
    help: "Objects whose waypoint is missing, not ready or does not allow them.",
    labelNames: ["outcome"],
    registers: [metrics],
    collect: () => {
      const counts = registry.waypointsUnavailable;
      for (const outcome of ["fail-open", "fail-closed"] as const) {
        gauge.set({ outcome }, counts[outcome]);
      }
    },
  });
}
