/** Who the endpoints of a backend are, by what the mesh says. Pure. */
import { isReachable, placeOf, targetPortOf } from "#common/mesh-state/load-balancer.ts";
import type { LoadBalancing, Service } from "#common/model/service.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { Locality, Workload } from "#common/model/workload.ts";
import type { EndpointRecord } from "./backend-host.ts";

type LoadBalancer = NonNullable<TrafficPolicy["loadBalancer"]>;
type LocalityWeights = NonNullable<LoadBalancer["localityWeights"]>[number];

export interface EndpointQuery {
  readonly service: Service;
  readonly workloads: Iterable<Workload>;
  readonly port: number;
  /** Of a subset; undefined: all. */
  readonly uids: ReadonlySet<string> | undefined;
  /** The waypoint itself: decides which endpoints are near. */
  readonly self: Workload | undefined;
  readonly loadBalancer: LoadBalancer | undefined;
}

export function endpointRecords(query: EndpointQuery): readonly EndpointRecord[] {
  const { service, workloads, port, uids, self } = query;
  const servicePort = service.ports.find((candidate) => candidate.servicePort === port);
  const eligible: { workload: Workload; targetPort: number }[] = [];
  for (const workload of workloads) {
    if (uids !== undefined && !uids.has(workload.uid)) continue;
    if (!isReachable(workload, service, self)) continue;
    const targetPort = targetPortOf(workload, service, port, servicePort, {});
    if (targetPort !== undefined) eligible.push({ workload, targetPort });
  }
  return placed(eligible, query);
}

function placed(
  eligible: readonly { readonly workload: Workload; readonly targetPort: number }[],
  { service, self, loadBalancer }: EndpointQuery,
): readonly EndpointRecord[] {
  const weigh = weigher(
    eligible.map(({ workload }) => workload),
    self,
    loadBalancer,
  );
  return eligible.flatMap(({ workload, targetPort }) => {
    const tier = tierOf(workload, service.loadBalancing, self, loadBalancer);
    const weight = weigh(workload);
    return tier === undefined || weight <= 0 ? [] : [{ workload, targetPort, weight, tier }];
  });
}

/** Undefined: too far to be used at all. */
function tierOf(
  workload: Workload,
  balancing: LoadBalancing | undefined,
  self: Workload | undefined,
  policy: LoadBalancer | undefined,
): number | undefined {
  if (self === undefined || policy?.localityWeights !== undefined) return 0;
  if (policy?.localityFailover !== undefined) {
    return failoverTier(workload.locality, self.locality, policy.localityFailover);
  }
  if (balancing === undefined || balancing.mode === "unspecified") return 0;
  const wanted = balancing.routingPreference;
  const miss = wanted.findIndex((scope) => placeOf(workload, scope) !== placeOf(self, scope));
  const tier = miss < 0 ? 0 : wanted.length - miss;
  return balancing.mode === "strict" && tier > 0 ? undefined : tier;
}

/** Source: Istio, LocalityLoadBalancerSetting.failover. */
function failoverTier(
  locality: Locality,
  own: Locality,
  failover: Readonly<Record<string, string>>,
): number {
  if (locality.region !== own.region) return failover[own.region] === locality.region ? 3 : 4;
  if (locality.zone !== own.zone) return 2;
  return locality.subzone === own.subzone ? 0 : 1;
}

/** An endpoint's own weight, or its part of what its locality gets. */
function weigher(
  workloads: readonly Workload[],
  self: Workload | undefined,
  policy: LoadBalancer | undefined,
): (workload: Workload) => number {
  const shares = policy?.localityWeights?.find(({ from }) => self && covers(from, self.locality));
  if (shares === undefined) return ({ capacity }) => capacity;
  const totals = new Map<string, number>();
  for (const { locality, capacity } of workloads) {
    const name = shareNameOf(shares, locality);
    if (name !== undefined) totals.set(name, (totals.get(name) ?? 0) + capacity);
  }
  return ({ locality, capacity }) => {
    const name = shareNameOf(shares, locality);
    if (name === undefined) return 0;
    return ((shares.to[name] ?? 0) * capacity) / (totals.get(name) ?? capacity);
  };
}

function shareNameOf({ to }: LocalityWeights, locality: Locality): string | undefined {
  return Object.keys(to).find((pattern) => covers(pattern, locality));
}

/** `region/zone/subzone`, each may be `*`, and what is left out is. */
function covers(pattern: string, { region, zone, subzone }: Locality): boolean {
  const [ofRegion = "*", ofZone = "*", ofSubzone = "*"] = pattern.split("/");
  const fits = (wanted: string, value: string): boolean => wanted === "*" || wanted === value;
  return fits(ofRegion, region) && fits(ofZone, zone) && fits(ofSubzone, subzone);
}
