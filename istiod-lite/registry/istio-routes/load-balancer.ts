/** A loadBalancer in the form in which a waypoint gets it. */
import type {
  IstioConsistentHash,
  IstioLoadBalancer,
  IstioLocalityLb,
  IstioPortPolicy,
} from "#common/kubernetes/istio-traffic-policy.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { durationMs } from "./http-actions.ts";
import type { Remarks } from "./remarks.ts";

type LoadBalancer = NonNullable<TrafficPolicy["loadBalancer"]>;

const KINDS: Readonly<Record<string, LoadBalancer["kind"]>> = {
  RANDOM: "random",
  ROUND_ROBIN: "round-robin",
  PASSTHROUGH: "passthrough",
};

/**
 * Outlier detection brings failover by locality with it, unless that is switched off. Source:
 * Istio, "Locality load balancing"; its default algorithm is least request.
 */
export function loadBalancerOf(
  { loadBalancer, outlierDetection }: IstioPortPolicy,
  field: string,
  remarks: Remarks,
): LoadBalancer | undefined {
  if (loadBalancer === undefined && outlierDetection === undefined) return undefined;
  const { consistentHash, simple = "", localityLbSetting = {}, zoneAware } = loadBalancer ?? {};
  remarks.unsupported({ zoneAware }, field);
  const at = `${field}.localityLbSetting`;
  return {
    ...(consistentHash === undefined
      ? { kind: KINDS[simple] ?? "least-request" }
      : { kind: "consistent-hash", ...hashOf(consistentHash, `${field}.consistentHash`, remarks) }),
    ...warmupOf(loadBalancer),
    ...localityOf(localityLbSetting, outlierDetection !== undefined, at, remarks),
  };
}

function hashOf(
  { httpHeaderName, httpCookie, httpQueryParameterName, ...rest }: IstioConsistentHash,
  field: string,
  remarks: Remarks,
): Pick<LoadBalancer, "hash"> {
  const { maglev, ringHash, minimumRingSize } = rest;
  const why = "has no effect: waypoints have one ring, of a size of their own";
  remarks.unsupported({ maglev, ringHash, minimumRingSize }, field, why);
  if (httpHeaderName !== undefined) {
    return { hash: { kind: "header", name: httpHeaderName.toLowerCase() } };
  }
  if (httpQueryParameterName !== undefined) {
    return { hash: { kind: "query-parameter", name: httpQueryParameterName } };
  }
  if (httpCookie === undefined) return { hash: { kind: "source-ip", name: "" } };
  const { name, path, ttl } = httpCookie;
  return {
    hash: {
      kind: "cookie",
      name,
      ...(path !== undefined && { cookiePath: path }),
      ...(ttl !== undefined && { cookieTtlSeconds: Math.ceil(durationMs(ttl) / 1_000) }),
    },
  };
}

function warmupOf(loadBalancer: IstioLoadBalancer | undefined): Partial<LoadBalancer> {
  const { warmup, warmupDurationSecs } = loadBalancer ?? {};
  const warmupMs = durationMs(warmup?.duration ?? warmupDurationSecs);
  if (warmupMs === 0) return {};
  const { minimumPercent, aggression } = warmup ?? {};
  return {
    warmupMs,
    ...(minimumPercent !== undefined && { warmupMinimumPercent: minimumPercent }),
    ...(aggression !== undefined && { warmupAggression: aggression }),
  };
}

function localityOf(
  { enabled = true, distribute = [], failover = [], failoverPriority = [] }: IstioLocalityLb,
  detectsOutliers: boolean,
  field: string,
  remarks: Remarks,
): Pick<LoadBalancer, "localityFailover" | "localityWeights"> {
  if (!enabled) return {};
  if (failoverPriority.length > 0) {
    remarks.add(`${field}.failoverPriority`, "is not supported: region, zone and subzone decide");
  }
  if (distribute.length > 0) {
    return { localityWeights: distribute.map(({ from = "*", to = {} }) => ({ from, to })) };
  }
  if (!detectsOutliers) {
    const why = "has no effect without outlierDetection, as in Istio";
    if (failover.length > 0) remarks.add(`${field}.failover`, why);
    return {};
  }
  const regions = failover.map(({ from = "", to = "" }) => [from, to] as const);
  return { localityFailover: Object.fromEntries(regions) };
}
