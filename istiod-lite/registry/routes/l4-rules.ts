/** TCPRoutes and TLSRoutes of one port. */
import type { GatewayRoute } from "#common/kubernetes/route-objects.ts";
import type { TcpRule, TlsRule } from "#common/model/waypoint/resource.ts";
import type { ConvertedRoute } from "./convert-route.ts";

/** A route as its connections are to find it. */
export interface L4Route {
  readonly route: GatewayRoute;
  readonly converted: ConvertedRoute;
  /** Of a consumer. */
  readonly consumerNamespace: string | undefined;
}

/**
 * The most specific server names first, of equal ones those of the first route: the waypoint takes
 * the first rule that fits. A route without host names takes what asks for the service itself.
 */
export function tlsRules(routes: readonly L4Route[], serviceHostname: string): readonly TlsRule[] {
  const ranked = routes.flatMap((each) => {
    const { route } = each;
    const given = route.kind === "TLSRoute" ? (route.spec.hostnames ?? []) : [];
    const names = given.length > 0 ? given : [serviceHostname];
    const byRank = new Map<number, string[]>();
    for (const name of names) {
      const rank = specificity(name);
      byRank.set(rank, [...(byRank.get(rank) ?? []), name]);
    }
    return firstRule(each).flatMap((rule) =>
      [...byRank].map(([rank, sni]) => ({ rank, rule: { ...rule, sni } })),
    );
  });
  return ranked.sort((a, b) => b.rank - a.rank).map(({ rule }) => rule);
}

/** One for everybody, and one for each consumer's namespace: the first has all connections. */
export function tcpRules(routes: readonly L4Route[]): readonly TcpRule[] {
  const rules = new Map<string | undefined, TcpRule>();
  for (const each of routes) {
    for (const rule of firstRule(each)) {
      if (!rules.has(each.consumerNamespace)) rules.set(each.consumerNamespace, rule);
    }
  }
  return [...rules.values()];
}

/** Nothing tells the connections of one rule from those of the next: the first takes them all. */
function firstRule({ converted, consumerNamespace }: L4Route): readonly TcpRule[] {
  const [rule] = converted.l4;
  if (rule === undefined) return [];
  return [consumerNamespace === undefined ? rule : { ...rule, consumerNamespace }];
}

/** An exact name before every wildcard, a longer wildcard before a shorter one. */
function specificity(name: string): number {
  return name.startsWith("*.") ? name.length : Number.POSITIVE_INFINITY;
}
