/** The tls and tcp routes of a VirtualService in the form in which a waypoint gets them. */
import type { IstioL4Match, IstioL4Route } from "#common/kubernetes/istio-route-objects.ts";
import type { TcpRule, TlsRule } from "#common/model/waypoint/resource.ts";
import {
  isForMesh,
  originOf,
  type RoutingContext,
  resolveDestination,
  weightOf,
} from "./routing-context.ts";

/** In their order, those that are for this port. */
export function tlsRules(context: RoutingContext): readonly TlsRule[] {
  const { tls = [] } = context.virtualService.spec;
  return tls.flatMap((route, index) => {
    const matches = matchesOf(route, `tls[${index}]`, context);
    if (matches.length === 0) return [];
    const sni = [...new Set(matches.flatMap(({ sniHosts = [] }) => sniHosts))];
    return [{ ...ruleOf(route, `tls[${index}]`, index, context), sni: sni.flatMap(serverName) }];
  });
}

/** `*` is every name, which the waypoint writes as none. */
function serverName(pattern: string, _index: number, all: readonly string[]): readonly string[] {
  return all.includes("*") ? [] : [pattern];
}

/** The first that is for this port. */
export function tcpRule(context: RoutingContext): TcpRule | undefined {
  const { tcp = [] } = context.virtualService.spec;
  for (const [index, route] of tcp.entries()) {
    const field = `tcp[${index}]`;
    const isForAll = (route.match ?? []).length === 0;
    if (isForAll || matchesOf(route, field, context).length > 0) {
      return ruleOf(route, field, index, context);
    }
  }
  return undefined;
}

/**
 * Without those of other ports and gateways, and those that go by what a waypoint does not look at
 * for a connection: they match nothing, and are remarked on.
 */
function matchesOf(
  { match = [] }: IstioL4Route,
  field: string,
  { port, remarks }: RoutingContext,
): readonly IstioL4Match[] {
  return match.filter((each, index) => {
    if ((each.port !== undefined && each.port !== port) || !isForMesh(each.gateways)) return false;
    const { destinationSubnets, sourceLabels, sourceNamespace, sourceSubnet } = each;
    const unknown = { destinationSubnets, sourceLabels, sourceNamespace, sourceSubnet };
    const why = "is not supported: this match takes no connection";
    remarks.unsupported(unknown, `${field}.match[${index}]`, why);
    return Object.values(unknown).every((value) => value === undefined);
  });
}

function ruleOf(route: IstioL4Route, field: string, index: number, context: RoutingContext) {
  return {
    origin: originOf(context.virtualService, index),
    backends: (route.route ?? []).map(({ destination, weight }, i, all) => ({
      ...resolveDestination(destination, `${field}.route[${i}].destination`, context),
      weight: weightOf(weight, all),
    })),
  };
}
