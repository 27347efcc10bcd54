/** The one place that knows who contributes to what waypoints are told. */
import { DestinationRules } from "./istio-routes/destination-rules.ts";
import { VirtualServices } from "./istio-routes/virtual-services.ts";
import type { RegistryOptions } from "./registry-options.ts";
import { BackendTlsPolicies } from "./routes/backend-tls-policies.ts";
import { GatewayRoutes } from "./routes/gateway-routes.ts";
import { WaypointPolicies } from "./waypoint-policies/policy-contributor.ts";
import { consumersFirst } from "./waypoints/consumers-first.ts";
import type { Contributors } from "./waypoints/contributors.ts";

export function createContributors(options: RegistryOptions): Contributors {
  const gatewayRoutes = new GatewayRoutes(options);
  const rules = new DestinationRules(options);
  const virtualServices = new VirtualServices(options, { rules, before: [gatewayRoutes] });
  return {
    routes: [consumersFirst(gatewayRoutes, virtualServices), virtualServices],
    backends: [new BackendTlsPolicies(), rules],
    policies: new WaypointPolicies(options),
  };
}
