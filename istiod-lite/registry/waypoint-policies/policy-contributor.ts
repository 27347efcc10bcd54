/**
 * The policies that waypoints enforce: kept by what they are attached to, with what becomes of
 * each.
 */
import type {
  L7PolicyObject,
  RateLimitPolicy,
  RequestAuthentication,
  Telemetry as TelemetryObject,
} from "#common/kubernetes/l7-policy-objects.ts";
import type {
  AuthorizationPolicy,
  Condition,
  GatewayRoute,
  KubernetesKind,
  ObjectChange,
} from "#common/kubernetes/objects.ts";
import type { L7Policies, Telemetry } from "#common/model/waypoint/policy.ts";
import type { PolicyOptions } from "../policies/types.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type {
  Affected,
  Mesh,
  MeshSettings,
  PolicyContributor,
} from "../waypoints/contributions.ts";
import { attachment } from "./attachment.ts";
import { l7Authorization } from "./l7-authorization.ts";
import { DEFAULT_MESH_CONFIG, MESH_CONFIG_MAP, readMeshConfig } from "./mesh-config.ts";
import { rateLimits } from "./rate-limits.ts";
import { requestAuthentication } from "./request-authentication.ts";
import { TargetIndex } from "./target-index.ts";
import { isRouteKey, TargetRoutes } from "./target-routes.ts";
import { targetKeys, targetNamespace } from "./targets.ts";
import { resolveTelemetry } from "./telemetry.ts";

type Policy = AuthorizationPolicy | L7PolicyObject;
type Kind = Policy["kind"];
export type Options = Pick<RegistryOptions, "clusterDomain" | "rootNamespace"> & PolicyOptions;

const NO_TARGETS: Affected = "none";

export class WaypointPolicies implements PolicyContributor {
  readonly #options: Options;
  readonly #authorizations = new TargetIndex<AuthorizationPolicy>();
  readonly #authentications = new TargetIndex<RequestAuthentication>();
  readonly #limits = new TargetIndex<RateLimitPolicy>();
  readonly #telemetries = new TargetIndex<TelemetryObject>();
  readonly #routes = new TargetRoutes();
  /** Gateways and classes that exist, by key. */
  readonly #gateways = new Set<string>();
  /** Policies (`<kind>/<namespace>/<name>`) of which something is to be said. */
  readonly #told = new Set<string>();
  #mesh = DEFAULT_MESH_CONFIG;

  constructor(options: Options) {
    this.#options = options;
  }

  apply(change: ObjectChange): Affected {
    const { key, kind, object } = change;
    this.#targetChanged(key, kind, object !== undefined);
    if (key === `ConfigMap/${this.#options.rootNamespace}/${MESH_CONFIG_MAP}`) {
      this.#mesh = readMeshConfig(object?.kind === "ConfigMap" ? object : undefined);
      return "all";
    }
    const name = key.slice(kind.length + 1);
    switch (kind) {
      case "AuthorizationPolicy":
        return this.#set(this.#authorizations, name, ofKind(object, kind));
      case "RequestAuthentication":
        return this.#set(this.#authentications, name, ofKind(object, kind));
      case "RateLimitPolicy":
        return this.#set(this.#limits, name, ofKind(object, kind));
      case "Telemetry":
        this.#set(this.#telemetries, name, ofKind(object, kind));
        return "all";
      case "HTTPRoute":
      case "GRPCRoute": {
        // An object is of the kind that its change says.
        const parents = this.#routes.set(key, object as GatewayRoute | undefined);
        return this.#limits.attachedTo(key).length === 0 ? NO_TARGETS : parents;
      }
      default:
        return NO_TARGETS;
    }
  }

  policiesOf(targets: readonly string[]): L7Policies {
    const { clusterDomain } = this.#options;
    const authorizer = (name: string) => this.#mesh.authorizers.get(name);
    return {
      requestAuthentications: this.#authentications.of(targets).map(requestAuthentication),
      authorizations: this.#authorizations
        .of(targets)
        .map((policy) => l7Authorization(policy, this.#options, authorizer)),
      rateLimits: this.#limits
        .of([...targets, ...this.#routes.under(targets)])
        .flatMap((policy) =>
          rateLimits(policy, clusterDomain, this.#routes.limitedBy(policy, targets)),
        ),
    };
  }

  telemetryOf(targets: readonly string[]): Telemetry {
    const { rootNamespace } = this.#options;
    const namespaces = new Set([rootNamespace, ...targets.map(targetNamespace)]);
    const wide = [...namespaces].map((namespace) => `Namespace//${namespace}`);
    const layers = wide.flatMap((target) => this.#telemetries.of([target]));
    return resolveTelemetry([...layers, ...this.#telemetries.of(targets)], this.#mesh);
  }

  get meshSettings(): MeshSettings {
    return this.#mesh.settings;
  }

  rebound(targets: Iterable<string>): void {
    for (const target of targets) this.#retell(target);
  }

  takeStatuses(mesh: Mesh): readonly ObjectStatus[] {
    const statuses = [...this.#told].sort().flatMap((key) => this.#statusOf(key, mesh) ?? []);
    this.#told.clear();
    return statuses;
  }

  #set<P extends Policy>(index: TargetIndex<P>, name: string, policy: P | undefined): Affected {
    const targets = policy === undefined ? [] : attachedTo(policy);
    const kind = policy?.kind;
    const affected = this.#routes.served(index.set(name, policy, targets));
    if (kind !== undefined && targets.length > 0) this.#told.add(`${kind}/${name}`);
    return affected.size === 0 ? NO_TARGETS : affected;
  }

  /** What is attached to it is now attached to something, or to nothing. */
  #targetChanged(key: string, kind: KubernetesKind, exists: boolean): void {
    if (isGateway(kind)) {
      if (exists) this.#gateways.add(key);
      else this.#gateways.delete(key);
    }
    this.#retell(key);
  }

  #retell(target: string): void {
    for (const [kind, index] of this.#indexes()) {
      for (const name of index.attachedTo(target)) this.#told.add(`${kind}/${name}`);
    }
    for (const route of this.#routes.under([target])) {
      for (const name of this.#limits.attachedTo(route)) this.#told.add(`RateLimitPolicy/${name}`);
    }
  }

  #indexes(): readonly (readonly [Kind, TargetIndex<Policy>])[] {
    return [
      ["AuthorizationPolicy", this.#authorizations as TargetIndex<Policy>],
      ["RequestAuthentication", this.#authentications as TargetIndex<Policy>],
      ["RateLimitPolicy", this.#limits as TargetIndex<Policy>],
      ["Telemetry", this.#telemetries as TargetIndex<Policy>],
    ];
  }

  #statusOf(key: string, mesh: Mesh): ObjectStatus | undefined {
    const [kind, namespace = "", name = ""] = key.split("/");
    const index = this.#indexes().find(([known]) => known === kind)?.[1];
    const policy = index?.get(`${namespace}/${name}`);
    if (policy === undefined) return undefined;
    const { generation } = policy.metadata;
    const conditions: readonly Condition[] = [
      attachment(policy, {
        missing: attachedTo(policy).filter((target) => !this.#exists(target, mesh)),
        unserved: attachedTo(policy).filter((target) => !this.#isServed(target, mesh)),
        authorizerKnown: (provider) => this.#mesh.authorizers.has(provider),
      }),
    ];
    return { kind: policy.kind, namespace, name, generation, conditions, warnings: [] };
  }

  #exists(target: string, mesh: Mesh): boolean {
    const [kind, namespace = "", name = ""] = target.split("/");
    if (kind === "Service" || kind === "ServiceEntry") {
      return mesh.serviceByRef(kind, namespace, name).length > 0;
    }
    if (isRouteKey(target)) return this.#routes.parentsOf(target) !== undefined;
    return kind === "Namespace" || this.#gateways.has(target);
  }

  /** Gateways are waypoints themselves; a service may have none, and so may a route's parents. */
  #isServed(target: string, mesh: Mesh): boolean {
    if (isRouteKey(target)) {
      return (
        this.#routes.parentsOf(target)?.some((parent) => this.#isServed(parent, mesh)) ?? false
      );
    }
    const [kind, namespace = "", name = ""] = target.split("/");
    if (kind !== "Service" && kind !== "ServiceEntry") return true;
    return mesh.hasWaypoint(kind, namespace, name);
  }
}

/** A Telemetry without a target is its namespace's: the only kind for which waypoints take that. */
function attachedTo(policy: Policy): readonly string[] {
  const targets = targetKeys(policy);
  if (policy.kind !== "Telemetry" || targets.length > 0) return targets;
  return policy.spec?.selector === undefined ? [`Namespace//${policy.metadata.namespace}`] : [];
}

function isGateway(kind: string): boolean {
  return kind === "Gateway" || kind === "GatewayClass";
}

function ofKind<K extends Kind>(
  object: ObjectChange["object"],
  kind: K,
): Extract<Policy, { kind: K }> | undefined {
  return object?.kind === kind ? (object as Extract<Policy, { kind: K }>) : undefined;
}
