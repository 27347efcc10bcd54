/**
 * Tells every waypoint what it has to know, from what the contributors make of the objects: the
 * gateway itself, the services whose traffic passes it, and the backends that these lead to.
 */
import type { KubernetesKind, ObjectChange } from "#common/kubernetes/objects.ts";
import type { L7Policies, Telemetry } from "#common/model/waypoint/policy.ts";
import type { GatewayConfig } from "#common/model/waypoint/resource.ts";
import { describeError } from "#common/runtime/errors.ts";
import { WAYPOINT_TYPE } from "#common/xds/type-urls.ts";
import type { ChangeMarks } from "../change-marks.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ObjectStatus, OwnedObjects, RegistryProblem } from "../registry-update.ts";
import type { ResourceTable } from "../resource-table.ts";
import type { Stores } from "../stores.ts";
import { affectedServices } from "./affected-services.ts";
import type { Affected, ServiceFacts } from "./contributions.ts";
import { type Contributors, NO_CONTRIBUTORS } from "./contributors.ts";
import { GatewayController } from "./gateway-controller.ts";
import { MeshView } from "./mesh-view.ts";
import { type Guard, publishResource, ToldServices } from "./told-services.ts";

/** What changes by the thousand, and says nothing that a contributor reads. */
const NOT_CONTRIBUTED: ReadonlySet<KubernetesKind> = new Set(["Pod", "EndpointSlice", "Node"]);

const NO_POLICIES: L7Policies = { requestAuthentications: [], authorizations: [], rateLimits: [] };
/** Without a Telemetry that says otherwise, as in Istio: metrics, no access log, no traces. */
const DEFAULT_TELEMETRY: Telemetry = {
  accessLog: { enabled: false, format: "text" },
  metrics: { enabled: true, removedLabels: [] },
};

/** A batch of changes that is in the stores already. */
export interface WaypointBatch {
  readonly changes: readonly ObjectChange[];
  readonly marks: Pick<ChangeMarks, "services" | "serviceEntries" | "pods" | "workloadEntries">;
  readonly problems: RegistryProblem[];
}

interface WaypointPublisherDeps {
  readonly stores: Stores;
  readonly table: ResourceTable;
}

export class WaypointPublisher {
  readonly #options: RegistryOptions;
  readonly #deps: WaypointPublisherDeps;
  readonly #mesh: MeshView;
  readonly #contributors: Contributors;
  readonly #controller: GatewayController;
  readonly #told: ToldServices;
  /** The services (`<namespace>/<hostname>`) that an object was, by `<kind>/<namespace>/<name>`. */
  readonly #hosts = new Map<string, readonly string[]>();

  constructor(
    options: RegistryOptions,
    deps: WaypointPublisherDeps,
    contributors: Contributors = NO_CONTRIBUTORS,
  ) {
    this.#options = options;
    this.#deps = deps;
    this.#mesh = new MeshView(options, deps.stores);
    this.#contributors = contributors;
    this.#controller = new GatewayController(options, deps.stores);
    this.#told = new ToldServices({
      table: deps.table,
      mesh: this.#mesh,
      contributors,
      clusterDomain: options.clusterDomain,
      attachments: {
        policies: (service) => this.#policies([targetOf(service)]),
        telemetry: (service, waypoint) => this.#serviceTelemetry(service, waypoint),
      },
    });
  }

  /** `waypoints`: those that are something else than before the batch. */
  apply(
    batch: WaypointBatch,
    waypoints: ReadonlySet<string>,
  ): { readonly statuses: readonly ObjectStatus[]; readonly owned: readonly OwnedObjects[] } {
    const guard = (object: string, step: () => void) => {
      try {
        step();
      } catch (error) {
        batch.problems.push({ object, message: describeError(error) });
      }
    };
    const affected = this.#contribute(batch.changes, guard);
    this.#tellGateways(waypoints, affected.targets, guard);
    this.#tellServices(batch, affected, guard);
    this.#told.backendsAffected(affected.backends);
    const { pods, workloadEntries, services, serviceEntries } = batch.marks;
    this.#contributors.policies?.rebound([
      ...[...services].map((key) => `Service/${key}`),
      ...[...serviceEntries].map((key) => `ServiceEntry/${key}`),
    ]);
    this.#told.workloadsChanged(namespacesOf(pods, workloadEntries), guard);
    this.#told.settle(guard);
    const { statuses, owned } = this.#controller.apply(batch.changes, waypoints);
    return { statuses: [...statuses, ...this.#takeStatuses(guard)], owned };
  }

  #contribute(changes: readonly ObjectChange[], guard: Guard) {
    const { routes, backends, policies } = this.#contributors;
    const affected = { routes: "none", backends: "none", targets: "none" } as AllAffected;
    for (const change of changes) {
      if (NOT_CONTRIBUTED.has(change.kind)) continue;
      guard(change.key, () => {
        for (const each of routes) {
          affected.routes = both(affected.routes, each.apply(change, this.#mesh));
        }
        for (const each of backends) {
          affected.backends = both(affected.backends, each.apply(change, this.#mesh));
        }
        const targets = policies?.apply(change, this.#mesh) ?? "none";
        affected.targets = both(affected.targets, targets);
      });
    }
    return affected;
  }

  #takeStatuses(guard: Guard): readonly ObjectStatus[] {
    const { routes, backends, policies } = this.#contributors;
    const statuses: ObjectStatus[] = [];
    for (const each of [...routes, ...backends, ...(policies === undefined ? [] : [policies])]) {
      guard("statuses", () => void statuses.push(...each.takeStatuses(this.#mesh)));
    }
    return statuses;
  }

  #tellGateways(waypoints: ReadonlySet<string>, targets: Affected, guard: Guard): void {
    const keys = new Set(waypoints);
    for (const [key] of targets === "none" ? [] : this.#deps.stores.gateways.waypoints()) {
      if (meets(targets, this.#telemetryTargets(key))) keys.add(key);
    }
    for (const key of keys) guard(`Gateway/${key}`, () => this.#tellGateway(key));
  }

  #tellGateway(key: string): void {
    const { stores, table } = this.#deps;
    const waypoint = stores.gateways.waypoint(key);
    const gateway = stores.gateways.gateway(key);
    if (waypoint === undefined || gateway === undefined) {
      table.delete(WAYPOINT_TYPE, `${key}/gateway`);
      this.#told.tellGateway(key, undefined);
      return;
    }
    const { namespace, name } = waypoint;
    const { pathNormalization } = this.#contributors.policies?.meshSettings ?? {};
    const config: GatewayConfig = {
      kind: "gateway",
      namespace,
      name,
      policies: this.#policies(this.#gatewayTargets(key)),
      telemetry: this.#telemetry(this.#gatewayTargets(key)),
      ...(pathNormalization && { pathNormalization }),
      forwardClientCert: gateway.metadata.annotations?.[XFCC_ANNOTATION] === "true",
    };
    publishResource(table, key, config);
    this.#told.tellGateway(key, config);
  }

  #tellServices({ marks }: WaypointBatch, affected: AllAffected, guard: Guard): void {
    for (const key of marks.services) this.#tellObject("Service", key, guard);
    for (const key of marks.serviceEntries) this.#tellObject("ServiceEntry", key, guard);
    const whole = (waypoint: string): boolean =>
      meets(affected.targets, this.#telemetryTargets(waypoint));
    for (const { waypoint, key } of affectedServices(this.#told, this.#mesh, affected, whole)) {
      guard(`Service/${key}`, () => this.#told.tell(waypoint, key));
    }
  }

  /** One object's services, for the waypoints that it has now and those that it had. */
  #tellObject(kind: "Service" | "ServiceEntry", key: string, guard: Guard): void {
    const id = `${kind}/${key}`;
    const { bindings } = this.#deps.stores;
    const now = this.#mesh.serviceByRef(kind, ...split(key));
    const keys = now.map(({ namespace, hostname }) => `${namespace}/${hostname}`);
    const former = this.#hosts.get(id) ?? [];
    if (keys.length === 0) this.#hosts.delete(id);
    else this.#hosts.set(id, keys);
    for (const service of new Set([...keys, ...former])) {
      const owner = this.#mesh.service(...split(service));
      const binding = owner && bindings.of(`${owner.kind}/${owner.namespace}/${owner.name}`);
      const serving = new Set(binding?.serving ?? []);
      for (const waypoint of this.#told.waypoints()) {
        if (!serving.has(waypoint)) this.#told.forget(waypoint, service);
      }
      for (const waypoint of serving) {
        guard(id, () => this.#told.tell(waypoint, service));
      }
    }
    this.#told.backendsAffected(new Set([...keys, ...former]));
  }

  #policies(targets: readonly string[]): L7Policies {
    return this.#contributors.policies?.policiesOf(targets) ?? NO_POLICIES;
  }

  #telemetry(targets: readonly string[]): Telemetry {
    return this.#contributors.policies?.telemetryOf(targets) ?? DEFAULT_TELEMETRY;
  }

  #serviceTelemetry(service: ServiceFacts, waypoint: string): Telemetry | undefined {
    const targets = this.#gatewayTargets(waypoint);
    const own = this.#telemetry([...targets, targetOf(service)]);
    return JSON.stringify(own) === JSON.stringify(this.#telemetry(targets)) ? undefined : own;
  }

  #gatewayTargets(waypoint: string): readonly string[] {
    const className = this.#deps.stores.gateways.waypoint(waypoint)?.className ?? "";
    return [`GatewayClass//${className}`, `Gateway/${waypoint}`];
  }

  /** Whose Telemetry the waypoint follows; contributors look at the namespaces by themselves. */
  #telemetryTargets(waypoint: string): readonly string[] {
    const [namespace] = split(waypoint);
    return [
      `Namespace//${this.#options.rootNamespace}`,
      `Namespace//${namespace}`,
      ...this.#gatewayTargets(waypoint),
    ];
  }
}

/** Source: istio/api annotations.yaml; ambient.md F140. */
const XFCC_ANNOTATION = "ambient.istio.io/xfcc-include-client-identity";

interface AllAffected {
  routes: Affected;
  backends: Affected;
  targets: Affected;
}

function targetOf({ kind, namespace, name }: ServiceFacts): string {
  return `${kind}/${namespace}/${name}`;
}

function both(a: Affected, b: Affected): Affected {
  if (a === "none") return b;
  if (b === "none") return a;
  return a === "all" || b === "all" ? "all" : new Set([...a, ...b]);
}

function meets(affected: Affected, targets: readonly string[]): boolean {
  if (affected === "none") return false;
  return affected === "all" || targets.some((target) => affected.has(target));
}

function split(key: string): [string, string] {
  const slash = key.indexOf("/");
  return [key.slice(0, slash), key.slice(slash + 1)];
}

function namespacesOf(...keys: readonly Iterable<string>[]): ReadonlySet<string> {
  return new Set(keys.flatMap((each) => [...each].map((key) => split(key)[0])));
}
