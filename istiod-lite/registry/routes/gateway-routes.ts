/**
 * Gateway API's routes attached to services of the mesh (GAMMA). What is derived of a route is kept
 * until the route, a service that it names or a grant that it needs changes.
 */
import type {
  GatewayRoute,
  ObjectChange,
  ReferenceGrant,
  ServiceEntry,
} from "#common/kubernetes/objects.ts";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Affected, Mesh, RouteContributor, ServiceFacts } from "../waypoints/contributions.ts";
import { attachesTo, consumerNamespace } from "./attachment.ts";
import { type ConvertedRoute, convertRoute } from "./convert-route.ts";
import { Grants } from "./grants.ts";
import { HostIndex } from "./host-index.ts";
import { type L4Route, tcpRules, tlsRules } from "./l4-rules.ts";
import { servicesOf } from "./parent-services.ts";
import { hostKey, referenceKey } from "./reference-keys.ts";
import { type Placed, RouteIndex } from "./route-index.ts";
import { routeStatus } from "./route-status.ts";

type Port = ServiceFacts["ports"][number];
type PortRoutes = Pick<PortConfig, "http" | "tls" | "tcp">;

export class GatewayRoutes implements RouteContributor {
  readonly #clusterDomain: string;
  readonly #routes = new RouteIndex();
  readonly #grants = new Grants();
  readonly #hosts = new HostIndex();
  /** By service (`Service/shop/web`): what it looked like to routes when it last changed. */
  readonly #looks = new Map<string, string>();
  readonly #converted = new Map<string, ConvertedRoute>();
  /** Keys of routes whose status may have to say something else. */
  readonly #unsaid = new Set<string>();
  /** By key: what was said last. */
  readonly #said = new Map<string, string>();

  constructor(options: { readonly clusterDomain: string }) {
    this.#clusterDomain = options.clusterDomain;
  }

  apply(change: ObjectChange, mesh: Mesh): Affected {
    const { key, kind, object } = change;
    switch (kind) {
      // An object is of the kind that its change says.
      case "HTTPRoute":
      case "GRPCRoute":
      case "TCPRoute":
      case "TLSRoute":
        return this.#applyRoute(key, object as GatewayRoute | undefined, mesh);
      case "ReferenceGrant":
        return this.#applyGrant(key, object as ReferenceGrant | undefined, mesh);
      case "Service":
        return this.#applyService(key, mesh);
      case "ServiceEntry":
        return this.#applyEntry(key, object as ServiceEntry | undefined, mesh);
      default:
        return "none";
    }
  }

  routesOf(service: ServiceFacts, port: number, mesh: Mesh): PortRoutes | undefined {
    const known = service.ports.find((candidate) => candidate.port === port);
    if (known === undefined) return undefined;
    const attached = this.#attachedTo(service, known);
    if (attached.length === 0) return undefined;
    const http: HttpRule[] = [];
    const kinds: Record<GatewayRoute["kind"], L4Route[]> = {
      HTTPRoute: [],
      GRPCRoute: [],
      TLSRoute: [],
      TCPRoute: [],
    };
    for (const { key, route } of attached) {
      const converted = this.#convert(key, route, mesh);
      const scope = consumerNamespace(route, service);
      kinds[route.kind].push({ route, converted, consumerNamespace: scope });
      http.push(...scoped(converted.http, scope));
    }
    const requests = [...kinds.HTTPRoute, ...kinds.GRPCRoute];
    const onlyConsumers = requests.every((each) => each.consumerNamespace !== undefined);
    const scope = onlyConsumers ? { onlyConsumers } : {};
    const tcp = tcpRules(kinds.TCPRoute);
    return {
      ...(requests.length > 0 && { http: { precedence: "specificity", rules: http, ...scope } }),
      ...(kinds.TLSRoute.length > 0 && { tls: tlsRules(kinds.TLSRoute, service.hostname) }),
      ...(tcp.length > 0 && { tcp }),
    };
  }

  takeStatuses(mesh: Mesh): readonly ObjectStatus[] {
    const keys = [...this.#unsaid].sort();
    this.#unsaid.clear();
    return keys.flatMap((key) => {
      const route = this.#routes.get(key);
      if (route === undefined) return [];
      const winner = (service: ServiceFacts, port: Port) =>
        this.#attachedTo(service, port).find(
          (other) =>
            other.route.kind === "TCPRoute" &&
            consumerNamespace(other.route, service) === consumerNamespace(route, service),
        );
      const converted = this.#convert(key, route, mesh);
      const status = routeStatus({ key, route, converted }, mesh, winner, this.#said.has(key));
      const content = JSON.stringify(status);
      if (status === undefined || this.#said.get(key) === content) return [];
      this.#said.set(key, content);
      return [status];
    });
  }

  #applyRoute(key: string, route: GatewayRoute | undefined, mesh: Mesh): Affected {
    const before = this.#routes.get(key);
    const parents = new Set(this.#routes.parentsOf(key));
    this.#routes.set(key, route);
    if (route === undefined) this.#said.delete(key);
    this.#unsaid.add(key);
    if (before !== undefined && route !== undefined && isSame(before, route)) return "none";
    this.#converted.delete(key);
    for (const parent of this.#routes.parentsOf(key)) parents.add(parent);
    for (const parent of parents) {
      // Which of them is in force hangs on the others.
      for (const other of this.#routes.withParent(parent)) {
        if (other.startsWith("TCPRoute/")) this.#unsaid.add(other);
      }
    }
    return servicesOf(parents, mesh);
  }

  #applyGrant(key: string, grant: ReferenceGrant | undefined, mesh: Mesh): Affected {
    const [, namespace = "", name = ""] = key.split("/");
    this.#grants.set(namespace, name, grant);
    // A reference by host name does not say which namespace it leads to.
    const routes = new Set(this.#routes.acrossTo(namespace));
    for (const route of this.#routes.byHost()) routes.add(route);
    return this.#outdate(routes, mesh);
  }

  #applyService(key: string, mesh: Mesh): Affected {
    const [, namespace = "", name = ""] = key.split("/");
    const host = `${name}.${namespace}.svc.${this.#clusterDomain}`;
    return this.#applyTarget([key, ...this.#rivals(host)], mesh);
  }

  #applyEntry(key: string, entry: ServiceEntry | undefined, mesh: Mesh): Affected {
    const hosts = this.#hosts.set(key.slice("ServiceEntry/".length), entry);
    return this.#applyTarget([key, ...hosts.flatMap((host) => this.#rivals(host))], mesh);
  }

  /** Whatever goes by this host: who has it may be another one now. */
  #rivals(host: string): readonly string[] {
    const claimants = this.#hosts.claimants(host).map((entry) => `ServiceEntry/${entry}`);
    return [hostKey(host), ...claimants];
  }

  #applyTarget(targets: readonly string[], mesh: Mesh): Affected {
    const routes = new Set<string>();
    for (const target of targets) {
      if (!this.#looksDifferent(target, mesh)) continue;
      for (const route of this.#routes.withBackend(target)) routes.add(route);
      for (const route of this.#routes.withParent(target)) this.#unsaid.add(route);
    }
    return this.#outdate(routes, mesh);
  }

  /**
   * Whether routes can tell the difference: statuses are written to services all the time. Of one
   * that no route names nothing is remembered.
   */
  #looksDifferent(target: string, mesh: Mesh): boolean {
    const isNamed =
      this.#routes.withBackend(target).size > 0 || this.#routes.withParent(target).size > 0;
    const [kind, namespace = "", name = ""] = target.split("/");
    if (!isNamed || (kind !== "Service" && kind !== "ServiceEntry")) {
      this.#looks.delete(target);
      return isNamed;
    }
    const services = mesh.serviceByRef(kind, namespace, name);
    const look = JSON.stringify(services.map(({ hostname, ports }) => [hostname, ports]));
    if (this.#looks.get(target) === look) return false;
    this.#looks.set(target, look);
    return true;
  }

  /** What was derived of these routes is so no more. */
  #outdate(routes: ReadonlySet<string>, mesh: Mesh): Affected {
    const parents = new Set<string>();
    for (const key of routes) {
      this.#converted.delete(key);
      this.#unsaid.add(key);
      for (const parent of this.#routes.parentsOf(key)) parents.add(parent);
    }
    return servicesOf(parents, mesh);
  }

  #convert(key: string, route: GatewayRoute, mesh: Mesh): ConvertedRoute {
    const known = this.#converted.get(key);
    if (known !== undefined) return known;
    const deps = { mesh, grants: this.#grants, hosts: this.#hosts };
    const converted = convertRoute(route, deps);
    this.#converted.set(key, converted);
    return converted;
  }

  /** In the order of precedence. */
  #attachedTo(service: ServiceFacts, port: Port): readonly Placed[] {
    const routes = this.#routes.inOrder(referenceKey(service));
    return routes.filter(({ route }) => attachesTo(route, service, port));
  }
}

/** Rules of a consumer are for the clients of its namespace only. */
function scoped(
  rules: readonly HttpRule[],
  consumerNamespace: string | undefined,
): readonly HttpRule[] {
  if (consumerNamespace === undefined) return rules;
  return rules.map((rule) => ({ ...rule, consumerNamespace }));
}

/** A change of the status alone, our own among them, is none of what the route does. */
function isSame(before: GatewayRoute, after: GatewayRoute): boolean {
  if (before.metadata.creationTimestamp !== after.metadata.creationTimestamp) return false;
  return before.spec === after.spec || JSON.stringify(before.spec) === JSON.stringify(after.spec);
}
