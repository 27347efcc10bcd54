/**
 * What several contributors say of one backend, put together: of each setting the first that speaks
 * of it counts. A BackendTLSPolicy brings TLS, a DestinationRule the rest.
 */
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";

type Parts = Pick<BackendConfig, "policy" | "portPolicies" | "subsets">;

const NOTHING: Parts = { policy: {}, portPolicies: {}, subsets: {} };

export function mergeBackends(given: readonly (Partial<Parts> | undefined)[]): Parts {
  return given.reduceRight<Parts>((rest, parts) => {
    return parts === undefined ? rest : mergeTwo({ ...NOTHING, ...parts }, rest);
  }, NOTHING);
}

function subsetPorts(
  first: Parts,
  second: Parts,
  name: string,
): Readonly<Record<string, TrafficPolicy>> {
  const given = [first, second].map((parts) => ({ parts, subset: parts.subsets[name] }));
  const ports = new Set(given.flatMap(({ subset }) => Object.keys(subset?.portPolicies ?? {})));
  const merged = [...ports].sort().map((port): [string, TrafficPolicy] => {
    const [own, other] = given.map(
      ({ parts, subset }) =>
        subset?.portPolicies?.[port] ?? subset?.policy ?? parts.portPolicies[port] ?? parts.policy,
    );
    return [port, { ...other, ...own }];
  });
  return Object.fromEntries(merged);
}

/** Policies of ports and subsets replace the backend's as a whole: each is merged for itself. */
function mergeTwo(first: Parts, second: Parts): Parts {
  const ports = new Set([...Object.keys(first.portPolicies), ...Object.keys(second.portPolicies)]);
  const portPolicies = [...ports].sort().map((port): [string, TrafficPolicy] => {
    const [own, other] = [first, second].map((parts) => parts.portPolicies[port] ?? parts.policy);
    return [port, { ...other, ...own }];
  });
  const names = new Set([...Object.keys(first.subsets), ...Object.keys(second.subsets)]);
  const subsets = [...names].sort().map((name): [string, Parts["subsets"][string]] => {
    const [own, other] = [first.subsets[name], second.subsets[name]];
    const policy = { ...(other?.policy ?? second.policy), ...(own?.policy ?? first.policy) };
    const workloads = own?.workloads ?? other?.workloads ?? [];
    const perPort = { ...other?.portPolicies, ...own?.portPolicies };
    if (Object.keys(perPort).length === 0) return [name, { workloads, policy }];
    return [name, { workloads, policy, portPolicies: subsetPorts(first, second, name) }];
  });
  return {
    policy: { ...second.policy, ...first.policy },
    portPolicies: Object.fromEntries(portPolicies),
    subsets: Object.fromEntries(subsets),
  };
}
