/** VirtualServices: which of them hold for a service, and what is made of them. */
import type { VirtualService } from "#common/kubernetes/istio-route-objects.ts";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import type { ObjectStatus } from "../registry-update.ts";
import { isForEverybody } from "../waypoints/consumers-first.ts";
import type { Affected, Mesh, RouteContributor, ServiceFacts } from "../waypoints/contributions.ts";
import { byAge, isSame } from "./by-age.ts";
import type { DestinationRules, IstioOptions } from "./destination-rules.ts";
import { fullHost, HostKeys, isExportedTo } from "./hosts.ts";
import { httpRules } from "./http-rules.ts";
import { tcpRule, tlsRules } from "./l4-rules.ts";
import { Remarks } from "./remarks.ts";
import { destinationsOf, isForMesh, namespaceOf, type RoutingContext } from "./routing-context.ts";
import { ServiceHosts } from "./service-hosts.ts";
import { istioStatus, SaidStatuses } from "./status.ts";
import { RouteParents, virtualServiceOutcome } from "./virtual-service-status.ts";

export type PortRoutes = Pick<PortConfig, "http" | "tls" | "tcp">;

interface Neighbours {
  /** Whose subsets are sent to. */
  readonly rules: Pick<DestinationRules, "subsetsOf">;
  /** Contributors that win where what they answer is for everybody. */
  readonly before: readonly RouteContributor[];
}

export class VirtualServices implements RouteContributor {
  readonly #options: IstioOptions;
  readonly #neighbours: Neighbours;
  readonly #objects = new Map<string, VirtualService>();
  readonly #hosts = new HostKeys();
  readonly #destinations = new HostKeys();
  readonly #services: ServiceHosts;
  readonly #parents = new RouteParents();
  /** Of DestinationRules. */
  readonly #ruleHosts = new HostKeys();
  readonly #unsaid = new Set<string>();
  readonly #said = new SaidStatuses();

  constructor(options: IstioOptions, neighbours: Neighbours) {
    this.#options = options;
    this.#neighbours = neighbours;
    this.#services = new ServiceHosts(options.clusterDomain);
  }

  apply(change: ObjectChange): Affected {
    const { key, kind, object } = change;
    if (kind === "VirtualService") {
      return this.#applyOwn(key, object?.kind === kind ? object : undefined);
    }
    if (kind === "DestinationRule") {
      const now = object?.kind === kind ? [this.#full(object, object.spec.host)] : [];
      for (const host of this.#ruleHosts.set(key, now)) this.#unsayRoutesTo(host);
      return "none";
    }
    for (const parent of this.#parents.apply(change)) {
      for (const host of this.#services.hostsOf(parent)) this.#unsayFor(host);
    }
    const affected = new Set<string>();
    for (const host of this.#services.apply(change)) {
      this.#unsayFor(host);
      for (const user of this.#destinations.at(host)) {
        this.#unsaid.add(user);
        for (const service of this.#servicesOf(user)) affected.add(service);
      }
    }
    return affected.size === 0 ? "none" : affected;
  }

  routesOf(
    service: ServiceFacts,
    port: number,
    mesh: Mesh,
    clientNamespace: string,
  ): PortRoutes | undefined {
    const known = service.ports.find((candidate) => candidate.port === port);
    if (known === undefined) return undefined;
    const contexts = this.virtualServicesFor(service, clientNamespace).map((virtualService) =>
      this.#context(virtualService, service, port, mesh, new Remarks()),
    );
    return portRoutes(contexts, known.protocol);
  }

  takeStatuses(mesh: Mesh): readonly ObjectStatus[] {
    const keys = [...this.#unsaid].sort();
    this.#unsaid.clear();
    return keys.flatMap((key) => {
      const virtualService = this.#objects.get(key);
      if (virtualService === undefined) return [];
      const outcome = virtualServiceOutcome(virtualService, {
        hosts: this.#hosts.hostsOf(key),
        services: this.#services,
        mesh,
        rivals: (service) => this.virtualServicesFor(service, namespaceOf(virtualService)),
        isTaken: (service, port) =>
          this.#neighbours.before.some((each) =>
            isForEverybody(each.routesOf(service, port, mesh, service.namespace)),
          ),
        convert: (service, port, protocol, remarks) => {
          const context = this.#context(virtualService, service, port, mesh, remarks);
          return portRoutes([context], protocol);
        },
      });
      return this.#said.news(key, istioStatus(virtualService, outcome));
    });
  }

  /**
   * Of the service's namespace and the client's (ambient.md F129): those whose host says it best,
   * the oldest first.
   */
  virtualServicesFor(service: ServiceFacts, clientNamespace: string): readonly VirtualService[] {
    for (const pattern of this.#hosts.patternsFor(service.hostname)) {
      const objects = [...this.#hosts.at(pattern)].flatMap((key) => this.#objects.get(key) ?? []);
      const eligible = objects.filter((virtualService) => {
        const namespace = namespaceOf(virtualService);
        const { exportTo, gateways } = virtualService.spec;
        if (namespace !== service.namespace && namespace !== clientNamespace) return false;
        return isForMesh(gateways) && isExportedTo(exportTo, namespace, clientNamespace);
      });
      if (eligible.length > 0) return eligible.sort(byAge);
    }
    return [];
  }

  #applyOwn(key: string, virtualService: VirtualService | undefined): Affected {
    const before = this.#objects.get(key);
    this.#unsaid.add(key);
    if (virtualService !== undefined) this.#objects.set(key, virtualService);
    else {
      this.#objects.delete(key);
      this.#said.forget(key);
    }
    if (isSame(before, virtualService)) return "none";
    const { hosts = [] } = virtualService?.spec ?? {};
    const full = hosts.map((host) => this.#full(virtualService, host));
    const to = destinationsOf(virtualService).map((host) => this.#full(virtualService, host));
    this.#destinations.set(key, [...new Set(to)]);
    const affected = new Set<string>();
    for (const pattern of this.#hosts.set(key, [...new Set(full)])) {
      for (const service of this.#services.serviceKeys(pattern)) affected.add(service);
      for (const host of this.#services.hostsCovered(pattern)) this.#unsayFor(host);
    }
    return affected.size === 0 ? "none" : affected;
  }

  #context(
    virtualService: VirtualService,
    service: ServiceFacts,
    port: number,
    mesh: Mesh,
    remarks: Remarks,
  ): RoutingContext {
    const namespace = namespaceOf(virtualService);
    const { rules } = this.#neighbours;
    return {
      ...{ virtualService, service, port, mesh, remarks },
      clusterDomain: this.#options.clusterDomain,
      hosts: this.#services,
      subsetsOf: (destination) => rules.subsetsOf(destination, namespace),
    };
  }

  #full(object: { readonly metadata: { readonly namespace?: string } } | undefined, host: string) {
    return fullHost(host, object?.metadata.namespace ?? "default", this.#options.clusterDomain);
  }

  #servicesOf(key: string): readonly string[] {
    return this.#hosts.hostsOf(key).flatMap((pattern) => [...this.#services.serviceKeys(pattern)]);
  }

  /** What is said of the host's VirtualServices may be something else now. */
  #unsayFor(host: string): void {
    for (const pattern of this.#hosts.patternsFor(host)) {
      for (const key of this.#hosts.at(pattern)) this.#unsaid.add(key);
    }
  }

  #unsayRoutesTo(pattern: string): void {
    for (const host of this.#destinations.covered(pattern)) {
      for (const key of this.#destinations.at(host)) this.#unsaid.add(key);
    }
  }
}

const HTTP: ReadonlySet<PortConfig["protocol"]> = new Set(["http", "http2", "grpc", "auto"]);
const TLS: ReadonlySet<PortConfig["protocol"]> = new Set(["tls", "auto"]);
const TCP: ReadonlySet<PortConfig["protocol"]> = new Set(["tcp", "tls", "auto"]);

/** Undefined where none of them says anything of this port. */
function portRoutes(
  contexts: readonly RoutingContext[],
  protocol: PortConfig["protocol"],
): PortRoutes | undefined {
  const http = HTTP.has(protocol) ? contexts.flatMap(httpRules) : [];
  const tls = TLS.has(protocol) ? contexts.flatMap(tlsRules) : [];
  const tcp = TCP.has(protocol)
    ? contexts.map(tcpRule).find((rule) => rule !== undefined)
    : undefined;
  if (http.length === 0 && tls.length === 0 && tcp === undefined) return undefined;
  return {
    ...(http.length > 0 && { http: { precedence: "listed", rules: http } }),
    ...(tls.length > 0 && { tls }),
    ...(tcp && { tcp: [tcp] }),
  };
}
