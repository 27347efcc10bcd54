/**
 * What an object would come to in this mesh: what is accepted but has no effect, or less than its
 * author may believe, is said as a warning while they still look. Pure: no clock, no I/O.
 */
import type {
  KubernetesKind,
  KubernetesObject,
  ObjectChange,
  ObjectMeta,
} from "#common/kubernetes/objects.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { Registry } from "../registry/registry.ts";
import type { RegistryOptions } from "../registry/registry-options.ts";
import { targetKeys } from "../registry/waypoint-policies/targets.ts";
import {
  USE_WAYPOINT,
  USE_WAYPOINT_NAMESPACE,
  WAYPOINT_CLASS,
} from "../registry/waypoints/names.ts";
import { TARGETS_LOOKED_AT } from "./limits.ts";

/** What others refer to by name. */
const REFERRED: ReadonlySet<KubernetesKind> = new Set<KubernetesKind>([
  ...(["Gateway", "GatewayClass", "Service", "ServiceEntry"] as const),
  ...(["HTTPRoute", "GRPCRoute"] as const),
]);

/** Labels with which no waypoint is meant. */
const NO_WAYPOINT = "none";

export class MeshPreview {
  readonly #options: RegistryOptions;
  /** Those that the source holds: nothing is copied. */
  readonly #objects = new Map<string, KubernetesObject>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Takes in what the registry takes in. */
  apply(changes: readonly ObjectChange[]): void {
    for (const { key, kind, object } of changes) {
      if (!REFERRED.has(kind)) continue;
      if (object === undefined) this.#objects.delete(key);
      else this.#objects.set(key, object);
    }
  }

  /** Whether a Gateway (`<namespace>/<name>`) is a waypoint. */
  isWaypoint(name: string): boolean {
    const gateway = this.#objects.get(`Gateway/${name}`);
    return gateway?.kind === "Gateway" && gateway.spec.gatewayClassName === WAYPOINT_CLASS;
  }

  /** What to tell who writes a valid object. */
  remarks(object: KubernetesObject): readonly string[] {
    switch (object.kind) {
      case "AuthorizationPolicy":
        return [...this.#missingTargets(object), ...this.#outcome(object)];
      case "PeerAuthentication":
        return this.#outcome(object);
      case "RequestAuthentication":
      case "Telemetry":
      case "RateLimitPolicy":
        return this.#missingTargets(object);
      case "HTTPRoute":
      case "GRPCRoute":
      case "TCPRoute":
      case "TLSRoute":
        return this.#missing(
          (object.spec.parentRefs ?? []).map(({ kind = "Gateway", namespace, name }) => {
            return `${kind}/${namespace ?? object.metadata.namespace}/${name}`;
          }),
        );
      default:
        return [];
    }
  }

  /** Of a namespace or a service: the waypoint that its labels ask for is not there. */
  labelRemarks({ labels = {}, name, namespace = name }: Partial<ObjectMeta>): readonly string[] {
    const { [USE_WAYPOINT]: waypoint, [USE_WAYPOINT_NAMESPACE]: place = namespace } = labels;
    if (waypoint === undefined || waypoint === NO_WAYPOINT) return [];
    const key = `${place}/${waypoint}`;
    if (this.isWaypoint(key)) return [];
    const state = this.#objects.has(`Gateway/${key}`) ? "is no waypoint" : "does not exist yet";
    const field = `metadata.labels["${USE_WAYPOINT}"]`;
    const effect = `traffic is ${this.#options.waypointUnavailable} until it does`;
    return [`${field}: Gateway ${key} ${state}: ${effect} (meshctl waypoint apply)`];
  }

  #missingTargets(policy: Parameters<typeof targetKeys>[0]): readonly string[] {
    return this.#missing(targetKeys(policy));
  }

  #missing(keys: readonly string[]): readonly string[] {
    const missing = keys
      .slice(0, TARGETS_LOOKED_AT)
      .filter(
        (key) => REFERRED.has(key.split("/")[0] as KubernetesKind) && !this.#objects.has(key),
      );
    return missing.map((key) => {
      const [kind, namespace, name] = key.split("/");
      const place = namespace === "" ? name : `${namespace}/${name}`;
      return `${kind} ${place} does not exist yet: until it does, this has no effect on it`;
    });
  }

  /** The status that it would have: a registry of its own derives it from this object alone. */
  #outcome(object: KubernetesObject): readonly string[] {
    if (targetsOf(object).length > 0) return [];
    const registry = new Registry(this.#options);
    const { statuses } = registry.apply([{ key: objectKey(object), kind: object.kind, object }]);
    return statuses.flatMap(({ conditions, warnings }) => {
      const told = conditions.filter(({ reason }) => reason !== "Accepted");
      return [...told.map(({ message = "" }) => message), ...warnings];
    });
  }
}

function targetsOf(object: KubernetesObject): readonly string[] {
  return object.kind === "AuthorizationPolicy" ? targetKeys(object) : [];
}
