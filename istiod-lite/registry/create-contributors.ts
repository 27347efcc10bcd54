/** The one place that knows who contributes to what waypoints are told. */
import type { RegistryOptions } from "./registry-options.ts";
import { BackendTlsPolicies } from "./routes/backend-tls-policies.ts";
import { GatewayRoutes } from "./routes/gateway-routes.ts";
import { WaypointPolicies } from "./waypoint-policies/policy-contributor.ts";
import type { Contributors } from "./waypoints/contributors.ts";

export function createContributors(options: RegistryOptions): Contributors {
  return {
    routes: [new GatewayRoutes(options)],
    backends: [new BackendTlsPolicies()],
    policies: new WaypointPolicies(options),
  };
}
