/** An authorizer for tests: what matters to one is given, the rest is as Istio leaves it. */
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";

export function extAuthzProvider(parts: Partial<ExtAuthzProvider> = {}): ExtAuthzProvider {
  return {
    protocol: "http",
    namespace: "auth",
    hostname: "authz",
    port: 80,
    timeoutMs: 20_000,
    failOpen: false,
    statusOnError: 403,
    includeRequestHeaders: [],
    includeAdditionalHeaders: {},
    headersToUpstreamOnAllow: [],
    headersToDownstreamOnDeny: [],
    headersToDownstreamOnAllow: [],
    maxRequestBytes: 0,
    allowPartialMessage: false,
    ...parts,
  };
}
