/** From the DestinationRules for one host to what holds for it, its ports and its subsets. */
import type { DestinationRule } from "#common/kubernetes/istio-route-objects.ts";
import type { IstioTrafficPolicy } from "#common/kubernetes/istio-traffic-policy.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { Remarks } from "./remarks.ts";
import { type FlatPolicy, trafficPolicyOf } from "./traffic-policy.ts";

type Labels = Readonly<Record<string, string>>;
type Parts = Pick<BackendConfig, "policy" | "portPolicies" | "subsets">;

/**
 * The oldest first: the first that has a trafficPolicy says it, and of several subsets of one name
 * the first counts. Source: Istio, mergeDestinationRule. Remarks are on the first one's fields.
 */
export function mergeRules(
  rules: readonly DestinationRule[],
  workloads: (labels: Labels) => readonly string[],
  remarks = new Remarks(),
): Parts {
  const whole = rules.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy;
  const subsets: Record<string, Parts["subsets"][string]> = {};
  for (const { spec } of rules) {
    for (const [index, { name, labels = {}, trafficPolicy }] of (spec.subsets ?? []).entries()) {
      if (Object.hasOwn(subsets, name)) continue;
      const isOwn = trafficPolicy !== undefined;
      const field = isOwn ? `subsets[${index}].trafficPolicy` : "trafficPolicy";
      const made = policiesOf(whole, trafficPolicy, field, remarks);
      const { policy, portPolicies } = made;
      const perPort = Object.keys(portPolicies).length > 0 && { portPolicies };
      subsets[name] = { workloads: workloads(labels), policy, ...perPort };
    }
  }
  return { ...policiesOf(whole, undefined, "trafficPolicy", remarks), subsets };
}

/**
 * What a subset does not say it has from the whole. A port's settings replace everything that was
 * said before them. Source: Istio, MergeTrafficPolicy.
 */
function policiesOf(
  whole: IstioTrafficPolicy = {},
  subset: IstioTrafficPolicy | undefined,
  field: string,
  remarks: Remarks,
): Pick<Parts, "policy" | "portPolicies"> {
  const { tunnel, retryBudget } = subset ?? whole;
  const { proxyProtocol } = { ...flat(whole), ...flat(subset ?? {}) };
  const always = proxyProtocol && { proxyProtocol };
  remarks.unsupported({ tunnel, retryBudget }, field);
  const ports = new Map<number, FlatPolicy>();
  for (const { port, ...settings } of whole.portLevelSettings ?? []) {
    ports.set(port?.number ?? 0, { ...settings, ...flat(subset ?? {}), ...always });
  }
  for (const { port, ...settings } of subset?.portLevelSettings ?? []) {
    ports.set(port?.number ?? 0, { ...settings, ...always });
  }
  const perPort = [...ports].map(([port, settings]): [string, TrafficPolicy] => {
    const at = `${field}.portLevelSettings[port ${port}]`;
    return [`${port}`, trafficPolicyOf(settings, at, remarks)];
  });
  const merged = { ...flat(whole), ...flat(subset ?? {}) };
  return {
    policy: trafficPolicyOf(merged, field, remarks),
    portPolicies: Object.fromEntries(perPort),
  };
}

/** Only what is given, so that it covers nothing by not being there. */
function flat(policy: IstioTrafficPolicy): FlatPolicy {
  const { loadBalancer, connectionPool, outlierDetection, tls, proxyProtocol } = policy;
  return {
    ...(loadBalancer && { loadBalancer }),
    ...(connectionPool && { connectionPool }),
    ...(outlierDetection && { outlierDetection }),
    ...(tls && { tls }),
    ...(proxyProtocol && { proxyProtocol }),
  };
}
