/**
 * What the parts of the registry that know routes, backends and policies give to the one that tells
 * waypoints (`waypoint-publisher.ts`). Every derivation is pure and is asked for again only for
 * what an object's change affects.
 */
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import type { L7Policies, Telemetry } from "#common/model/waypoint/policy.ts";
import type { GatewayConfig, PortConfig } from "#common/model/waypoint/resource.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ObjectStatus } from "../registry-update.ts";

/** What the other parts of the registry need to know of a service that has a waypoint. */
export interface ServiceFacts {
  readonly kind: "Service" | "ServiceEntry";
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly ports: readonly {
    readonly port: number;
    readonly name: string;
    readonly protocol: PortConfig["protocol"];
  }[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Which services (`<namespace>/<hostname>`) or targets are to be derived again. */
export type Affected = "none" | "all" | ReadonlySet<string>;

/** What contributors may ask; answers change with the next apply. */
export interface Mesh {
  service(namespace: string, hostname: string): ServiceFacts | undefined;
  /** A ServiceEntry has one per host. */
  serviceByRef(
    kind: "Service" | "ServiceEntry",
    namespace: string,
    name: string,
  ): readonly ServiceFacts[];
  /** UIDs of the workloads of a service whose pods carry these labels. */
  workloads(service: ServiceFacts, labels: Readonly<Record<string, string>>): readonly string[];
  /**
   * UIDs of all workloads that carry these labels, of one namespace or of any. Whatever is derived
   * from it says so by `sourceWorkloads`: it is derived again when a workload changes.
   */
  workloadsWith(labels: Readonly<Record<string, string>>, namespace?: string): readonly string[];
  /** Whether a waypoint serves the object. */
  hasWaypoint(kind: "Service" | "ServiceEntry", namespace: string, name: string): boolean;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>;
}

/**
 * Changes come in the order of the source, when the whole batch is in the stores: `mesh` answers
 * from after it. Contributors get those of every kind but Pod, EndpointSlice and Node, and look at
 * the kinds they know: their own, and Services and Namespaces that theirs name.
 */
interface Contributor {
  /** An object was set or deleted (`object` absent). */
  apply(change: ObjectChange, mesh: Mesh): Affected;
  /** Of the objects it knows whose outcome may have changed since it was last asked. */
  takeStatuses(mesh: Mesh): readonly ObjectStatus[];
}

/** `clientNamespace` is the waypoint's. The first contributor that answers wins. */
export interface RouteContributor extends Contributor {
  routesOf(
    service: ServiceFacts,
    port: number,
    mesh: Mesh,
    clientNamespace: string,
  ): Pick<PortConfig, "http" | "tls" | "tcp"> | undefined;
}

/** `clientNamespace` is the waypoint's. Of each setting the first that speaks of it counts. */
export interface BackendContributor extends Contributor {
  backendOf(
    service: ServiceFacts,
    clientNamespace: string,
    mesh: Mesh,
  ): Partial<Pick<BackendConfig, "policy" | "portPolicies" | "subsets">> | undefined;
}

/** What the mesh configuration says; absent: what istiod was started with, or the default. */
export interface MeshSettings extends Pick<GatewayConfig, "pathNormalization"> {
  /** `unreadable`: something is said, and nobody knows what. */
  readonly outboundTraffic?: RegistryOptions["outboundTraffic"] | "unreadable";
}

/** Targets are keyed `<Kind>/<namespace>/<name>`. */
export interface PolicyContributor extends Contributor {
  readonly meshSettings: MeshSettings;
  policiesOf(targets: readonly string[]): L7Policies;
  telemetryOf(targets: readonly string[]): Telemetry;
  /** These targets may be served by a waypoint now that they were not by, or the reverse. */
  rebound(targets: Iterable<string>): void;
}
