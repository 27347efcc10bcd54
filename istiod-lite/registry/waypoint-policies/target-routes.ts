/**
 * Routes as targets of policies: limits of a route reach the waypoints of the services that the
 * route is of.
 */
import type { GatewayRoute } from "#common/kubernetes/objects.ts";
import type { RateLimit } from "#common/model/waypoint/policy.ts";
import { parentOf, referenceKey } from "../routes/reference-keys.ts";
import { TargetIndex } from "./target-index.ts";
import { type Targeted, targetKeys } from "./targets.ts";

type RouteName = NonNullable<RateLimit["routes"]>[number];

/** Keys are `<Kind>/<namespace>/<name>`. */
export class TargetRoutes {
  readonly #routes = new TargetIndex<RouteName>();

  /** Adds, replaces or removes; the services that it was or is of. */
  set(key: string, route: GatewayRoute | undefined): ReadonlySet<string> {
    if (route === undefined) return this.#routes.set(key, undefined, []);
    const { namespace = "default", name } = route.metadata;
    const parents = (route.spec.parentRefs ?? []).flatMap((ref) => parentOf(ref, namespace) ?? []);
    const kind = route.kind === "GRPCRoute" ? "GRPCRoute" : "HTTPRoute";
    const keys = [...new Set(parents.map(referenceKey))];
    return this.#routes.set(key, { kind, namespace, name }, keys);
  }

  /** The services that it is of; undefined for what is no route that there is. */
  parentsOf(key: string): readonly string[] | undefined {
    return this.#routes.get(key) === undefined ? undefined : this.#routes.targetsOf(key);
  }

  /** The targets, with the services that routes among them are of in place of these. */
  served(targets: Iterable<string>): ReadonlySet<string> {
    const served = [...targets].flatMap((target) =>
      isRouteKey(target) ? this.#routes.targetsOf(target) : [target],
    );
    return new Set(served);
  }

  /** Keys of the routes of these services. */
  under(services: readonly string[]): readonly string[] {
    return services.flatMap((service) => this.#routes.attachedTo(service));
  }

  /** Those of the services' routes that the policy is about; undefined where it is about all. */
  limitedBy(policy: Targeted, services: readonly string[]): readonly RouteName[] | undefined {
    const targets = targetKeys(policy);
    if (targets.some((target) => services.includes(target))) return undefined;
    const routes = new Set(this.under(services).filter((route) => targets.includes(route)));
    return [...routes].sort().flatMap((route) => this.#routes.get(route) ?? []);
  }
}

export function isRouteKey(target: string): boolean {
  return target.startsWith("HTTPRoute/") || target.startsWith("GRPCRoute/");
}
