/**
 * Which services and backends each waypoint is told of. A service's resource is derived again when
 * the service, its binding or a route of it changes; a backend's when the backend or what is
 * attached to it does: endpoints that come and go touch neither.
 */
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import type { BackendRef } from "#common/model/waypoint/http-route.ts";
import type { L7Policies, Telemetry } from "#common/model/waypoint/policy.ts";
import {
  type GatewayConfig,
  type PortConfig,
  type ServiceConfig,
  type WaypointResource,
  waypointResourceName,
} from "#common/model/waypoint/resource.ts";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { encodeWaypointResource } from "#common/xds/encode-waypoint-resource.ts";
import { ADDRESS_TYPE, WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import type { ResourceTable } from "../resource-table.ts";
import { backendRefsOf } from "./backend-refs.ts";
import { calledServices } from "./called-services.ts";
import type { Affected, Mesh, ServiceFacts } from "./contributions.ts";
import type { Contributors } from "./contributors.ts";
import { mergeBackends } from "./merge-backends.ts";
import { waypointScope } from "./scope.ts";

/** Runs a step; what it throws is said of the object. */
export type Guard = (object: string, step: () => void) => void;

/** What is attached to a service beside its routes. */
export interface ServiceAttachments {
  policies(service: ServiceFacts, waypoint: string): L7Policies;
  /** Undefined where it is the waypoint's own. */
  telemetry(service: ServiceFacts, waypoint: string): Telemetry | undefined;
}

interface ToldDeps {
  readonly table: ResourceTable;
  readonly mesh: Mesh;
  readonly contributors: Contributors;
  readonly attachments: ServiceAttachments;
  readonly clusterDomain: string;
}

/** Waypoints are `<namespace>/<name>`, services `<namespace>/<hostname>`. */
export class ToldServices {
  readonly #deps: ToldDeps;
  /** By waypoint and service: the backends that its resource mentions. */
  readonly #services = new Map<string, Map<string, ReadonlySet<string>>>();
  /** By waypoint, under its own name: the services that its own policies have it call. */
  readonly #gateways = new Map<string, Map<string, ReadonlySet<string>>>();
  /** By waypoint and backend: the services that mention it. */
  readonly #mentions = new Map<string, Map<string, Set<string>>>();
  /** `<waypoint>\0<backend>` whose subsets name workloads. */
  readonly #withSubsets = new Map<string, { readonly waypoint: string; readonly key: string }>();
  /** `<waypoint>\0<service>` whose routes go by the labels of callers. */
  readonly #withSources = new Map<string, { readonly waypoint: string; readonly key: string }>();
  readonly #dirtyBackends = new Map<string, Set<string>>();

  constructor(deps: ToldDeps) {
    this.#deps = deps;
  }

  waypoints(): Iterable<string> {
    return this.#services.keys();
  }

  /** The services that the waypoint is told of. */
  of(waypoint: string): Iterable<string> {
    return this.#services.get(waypoint)?.keys() ?? [];
  }

  tells(waypoint: string, key: string): boolean {
    return this.#services.get(waypoint)?.has(key) === true;
  }

  /** Derives the service for the waypoint, or withdraws it where it is not there. */
  tell(waypoint: string, key: string): void {
    const config = this.#serviceConfig(waypoint, key);
    if (config === undefined) {
      this.forget(waypoint, key);
      return;
    }
    this.#publish(waypoint, config);
    if (namesSources(config)) this.#withSources.set(`${waypoint}\0${key}`, { waypoint, key });
    else this.#withSources.delete(`${waypoint}\0${key}`);
    const own = { namespace: config.namespace, hostname: config.hostname, port: 0 };
    const { clusterDomain } = this.#deps;
    const called = calledServices(config.policies, config.telemetry, clusterDomain);
    const refs = [own, ...config.ports.flatMap(backendRefsOf), ...called];
    this.#mention(this.#services, { waypoint, key }, refs);
  }

  /** What holds for all of the waypoint; undefined where there is none any more. */
  tellGateway(waypoint: string, config: GatewayConfig | undefined): void {
    const { clusterDomain } = this.#deps;
    const called =
      config === undefined ? [] : calledServices(config.policies, config.telemetry, clusterDomain);
    this.#mention(this.#gateways, { waypoint, key: waypoint }, called);
    if (config === undefined) this.#gateways.delete(waypoint);
  }

  forget(waypoint: string, key: string): void {
    if (this.#services.get(waypoint)?.has(key) !== true) return;
    this.#mention(this.#services, { waypoint, key }, []);
    this.#withSources.delete(`${waypoint}\0${key}`);
    const told = this.#services.get(waypoint);
    told?.delete(key);
    if (told?.size === 0) this.#services.delete(waypoint);
    this.#withdraw(waypoint, "service", key);
  }

  /** Backends that something attached to them may have changed. */
  backendsAffected(affected: Affected): void {
    if (affected === "none") return;
    for (const [waypoint, backends] of this.#mentions) {
      const keys = affected === "all" ? backends.keys() : affected;
      for (const key of keys) {
        if (backends.has(key)) addToSet(this.#dirtyBackends, waypoint, key);
      }
    }
  }

  /** Workloads of these namespaces came, went, or carry other labels. */
  workloadsChanged(namespaces: ReadonlySet<string>, guard: Guard): void {
    // A caller may be of any namespace.
    const callers = namespaces.size === 0 ? [] : [...this.#withSources.values()];
    for (const { waypoint, key } of callers) {
      guard(`Service/${key}`, () => this.tell(waypoint, key));
    }
    for (const { waypoint, key } of this.#withSubsets.values()) {
      if (namespaces.has(key.slice(0, key.indexOf("/")))) {
        addToSet(this.#dirtyBackends, waypoint, key);
      }
    }
  }

  /** Derives the backends that need it; to be called when all services have been told. */
  settle(guard: Guard): void {
    for (const [waypoint, keys] of this.#dirtyBackends) {
      for (const key of keys) guard(`Backend/${key}`, () => this.#tellBackend(waypoint, key));
    }
    this.#dirtyBackends.clear();
  }

  #mention(
    by: Map<string, Map<string, ReadonlySet<string>>>,
    { waypoint, key }: { readonly waypoint: string; readonly key: string },
    refs: readonly Omit<BackendRef, "subset">[],
  ): void {
    const now = new Set(refs.map(({ namespace, hostname }) => `${namespace}/${hostname}`));
    const told = mapIn(by, waypoint);
    const before = told.get(key) ?? new Set();
    told.set(key, now);
    const mentions = mapIn(this.#mentions, waypoint);
    for (const backend of before) {
      if (now.has(backend)) continue;
      deleteFromSet(mentions, backend, key);
      if (!mentions.has(backend)) addToSet(this.#dirtyBackends, waypoint, backend);
    }
    for (const backend of now) {
      if (!mentions.has(backend)) addToSet(this.#dirtyBackends, waypoint, backend);
      addToSet(mentions, backend, key);
    }
    if (mentions.size === 0) this.#mentions.delete(waypoint);
  }

  #serviceConfig(waypoint: string, key: string): ServiceConfig | undefined {
    const { attachments, contributors, mesh, table } = this.#deps;
    const facts = this.#facts(key);
    const address = table.get(ADDRESS_TYPE, key);
    if (facts === undefined || address === undefined) return undefined;
    const decoded = decodeAddress(address.value);
    if (decoded.kind !== "service") return undefined;
    const ports = facts.ports.map(({ port, protocol }): PortConfig => {
      let routes: Pick<PortConfig, "http" | "tls" | "tcp"> | undefined;
      for (const contributor of contributors.routes) {
        routes ??= contributor.routesOf(facts, port, mesh, namespaceOf(waypoint));
      }
      return { port, protocol, ...routes };
    });
    const telemetry = attachments.telemetry(facts, waypoint);
    return {
      kind: "service",
      namespace: facts.namespace,
      hostname: facts.hostname,
      serviceName: facts.name,
      addresses: decoded.service.addresses.map(({ ip, cidr }) =>
        cidr === undefined ? ip : `${ip}/${cidr.length}`,
      ),
      ports,
      policies: attachments.policies(facts, waypoint),
      ...(telemetry && { telemetry }),
    };
  }

  #tellBackend(waypoint: string, key: string): void {
    const { contributors, mesh } = this.#deps;
    const id = `${waypoint}\0${key}`;
    const facts = this.#facts(key);
    if (facts === undefined || this.#mentions.get(waypoint)?.has(key) !== true) {
      this.#withSubsets.delete(id);
      this.#withdraw(waypoint, "backend", key);
      return;
    }
    const { policy, portPolicies, subsets } = mergeBackends(
      contributors.backends.map((each) => each.backendOf(facts, namespaceOf(waypoint), mesh)),
    );
    const { namespace, hostname, name: serviceName } = facts;
    const config: BackendConfig = {
      kind: "backend",
      ...{ namespace, hostname, serviceName, policy, portPolicies, subsets },
    };
    if (Object.keys(subsets).length > 0) this.#withSubsets.set(id, { waypoint, key });
    else this.#withSubsets.delete(id);
    this.#publish(waypoint, config);
  }

  #facts(key: string): ServiceFacts | undefined {
    const slash = key.indexOf("/");
    return this.#deps.mesh.service(key.slice(0, slash), key.slice(slash + 1));
  }

  #publish(waypoint: string, resource: WaypointResource): void {
    publishResource(this.#deps.table, waypoint, resource);
  }

  #withdraw(waypoint: string, kind: "service" | "backend", key: string): void {
    this.#deps.table.delete(WAYPOINT_TYPE, `${waypoint}/${kind}/${key}`);
  }
}

export function publishResource(
  table: ResourceTable,
  waypoint: string,
  resource: WaypointResource,
): void {
  table.set({
    typeUrl: WAYPOINT_TYPE,
    name: waypointResourceName(waypoint, resource),
    aliases: [],
    value: encodeWaypointResource(resource),
    scope: waypointScope(waypoint),
  });
}

function namesSources({ ports }: ServiceConfig): boolean {
  return ports.some(({ http }) =>
    http?.rules.some(({ matches }) => matches.some((match) => match.sourceWorkloads !== undefined)),
  );
}

function namespaceOf(waypoint: string): string {
  return waypoint.slice(0, waypoint.indexOf("/"));
}

function mapIn<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const found = maps.get(key) ?? new Map<string, V>();
  maps.set(key, found);
  return found;
}
