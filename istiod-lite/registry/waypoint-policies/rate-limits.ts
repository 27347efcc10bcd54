/** RateLimitPolicy to the limits that a waypoint counts. */
import { parseGatewayDurationMs } from "#common/kubernetes/gateway-duration.ts";
import type {
  RateLimitKey,
  RateLimitPolicy,
  RateLimitRule,
} from "#common/kubernetes/l7-policy-objects.ts";
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import { policyName } from "./targets.ts";

/** A global limit that has not been answered by then is decided by its failure mode. */
const GLOBAL_TIMEOUT_MS = 20;

const KINDS: Readonly<Record<RateLimitKey["type"], RateLimit["descriptors"][number]["kind"]>> = {
  Identity: "identity",
  Header: "header",
  Claim: "claim",
  SourceIP: "source-ip",
  Path: "path",
  Method: "method",
  Constant: "constant",
};

/** `routes`: those that the limits are of; absent where they are of everything. */
export function rateLimits(
  policy: RateLimitPolicy,
  clusterDomain: string,
  routes: RateLimit["routes"],
): readonly RateLimit[] {
  const { namespace = "" } = policy.metadata;
  return policy.spec.limits.map((limit, index) => ({
    key: `${policyName(policy)}[${index}]`,
    ...(routes && { routes }),
    matches: (limit.matches ?? []).map(({ pathPrefix, methods = [], headers = [] }) => ({
      ...(pathPrefix !== undefined && { pathPrefix }),
      methods,
      headers: headers.map(({ name, value }) => ({ name: name.toLowerCase(), value })),
    })),
    descriptors: (limit.keys ?? []).map(({ type, name = "" }) => ({
      kind: KINDS[type],
      name: type === "Header" ? name.toLowerCase() : name,
    })),
    ...localOf(limit),
    ...globalOf(limit, namespace, clusterDomain),
  }));
}

function localOf({ local }: RateLimitRule): Pick<RateLimit, "local"> {
  if (local === undefined) return {};
  const { requests, per, burst = requests } = local;
  return { local: { requests, perMs: parseGatewayDurationMs(per) ?? 1_000, burst } };
}

function globalOf(
  { global }: RateLimitRule,
  namespace: string,
  clusterDomain: string,
): Pick<RateLimit, "global"> {
  if (global === undefined) return {};
  const { service, domain, timeout, failureMode = "Deny" } = global;
  const home = service.namespace ?? namespace;
  return {
    global: {
      namespace: home,
      hostname: `${service.name}.${home}.svc.${clusterDomain}`,
      port: service.port,
      domain,
      timeoutMs: parseGatewayDurationMs(timeout ?? "") ?? GLOBAL_TIMEOUT_MS,
      failOpen: failureMode === "Allow",
    },
  };
}
