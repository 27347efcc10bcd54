/** TCPRoutes and TLSRoutes of one port. */
import type { GatewayRoute } from "#common/kubernetes/route-objects.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import type { ConvertedRoute } from "./convert-route.ts";

type TlsRule = NonNullable<PortConfig["tls"]>[number];

/**
 * The most specific server names first, of equal ones those of the first route: the waypoint takes
 * the first rule that fits. A route without host names takes what asks for the service itself.
 */
export function tlsRules(
  routes: readonly (readonly [GatewayRoute, ConvertedRoute])[],
  serviceHostname: string,
): readonly TlsRule[] {
  const ranked = routes.flatMap(([route, { l4 }]) => {
    const given = route.kind === "TLSRoute" ? (route.spec.hostnames ?? []) : [];
    const names = given.length > 0 ? given : [serviceHostname];
    // Nothing tells the connections of one rule from those of the next: the first takes them all.
    const [rule] = l4;
    if (rule === undefined) return [];
    const byRank = new Map<number, string[]>();
    for (const name of names) {
      const rank = specificity(name);
      byRank.set(rank, [...(byRank.get(rank) ?? []), name]);
    }
    return [...byRank].map(([rank, sni]) => ({ rank, rule: { ...rule, sni } }));
  });
  return ranked.sort((a, b) => b.rank - a.rank).map(({ rule }) => rule);
}

/** An exact name before every wildcard, a longer wildcard before a shorter one. */
function specificity(name: string): number {
  return name.startsWith("*.") ? name.length : Number.POSITIVE_INFINITY;
}
