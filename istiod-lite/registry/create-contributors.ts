/** The one place that knows who contributes to what waypoints are told. */
import type { RegistryOptions } from "./registry-options.ts";
import { GatewayRoutes } from "./routes/gateway-routes.ts";
import { WaypointPolicies } from "./waypoint-policies/policy-contributor.ts";
import type { Contributors } from "./waypoints/contributors.ts";

export function createContributors(options: RegistryOptions): Contributors {
  return {
    routes: [new GatewayRoutes(options)],
    backends: [],
    policies: new WaypointPolicies(options),
  };
}
