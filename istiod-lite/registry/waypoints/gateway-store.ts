/**
 * The Gateways and GatewayClasses of the cluster, and what each Gateway is as a waypoint: kept up
 * to date change by change, so that nobody is derived again whose waypoint is as it was.
 */
import { isDeepStrictEqual } from "node:util";
import type { Gateway, GatewayClass, ObjectMeta } from "#common/kubernetes/objects.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import { namespacedName } from "../pod-facts.ts";
import type { PodStore } from "../pod-store.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ServiceStore } from "../service-store.ts";
import { MANAGED_BY_US, MANAGED_LABEL } from "./names.ts";
import { GATEWAY_NAME_LABEL, gatewayOf } from "./scope.ts";
import { deploymentName, isOfRevision, type Waypoint, waypointOf } from "./waypoint-facts.ts";

const NONE: ReadonlySet<string> = new Set();

interface GatewayStoreDeps {
  readonly pods: PodStore;
  readonly services: ServiceStore;
}

/** Gateways are known by `<namespace>/<name>`. */
export class GatewayStore {
  readonly #options: Pick<RegistryOptions, "clusterDomain" | "revision">;
  readonly #deps: GatewayStoreDeps;
  readonly #gateways = new Map<string, Gateway>();
  readonly #classes = new Map<string, GatewayClass>();
  readonly #byClass = new Map<string, Set<string>>();
  /** By the Service (`<namespace>/<name>`) in front of their pods. */
  readonly #byService = new Map<string, Set<string>>();
  readonly #waypoints = new Map<string, Waypoint>();
  /** Services (`<namespace>/<name>`) that came to be a Gateway's, or ceased to be one's. */
  readonly #gained = new Set<string>();
  /** Gateways that may be something else than they were. */
  readonly #dirty = new Set<string>();

  constructor(
    options: Pick<RegistryOptions, "clusterDomain" | "revision">,
    deps: GatewayStoreDeps,
  ) {
    this.#options = options;
    this.#deps = deps;
  }

  gateway(key: string): Gateway | undefined {
    return this.#gateways.get(key);
  }

  keys(): Iterable<string> {
    return this.#gateways.keys();
  }

  gatewayClass(name: string): GatewayClass | undefined {
    return this.#classes.get(name);
  }

  ofClass(name: string): ReadonlySet<string> {
    return this.#byClass.get(name) ?? NONE;
  }

  /** As of the last `settle`. */
  waypoint(key: string): Waypoint | undefined {
    return this.#waypoints.get(key);
  }

  /** As of the last `settle`. */
  waypoints(): Iterable<[string, Waypoint]> {
    return this.#waypoints;
  }

  /** Whether the object is a waypoint's own: its traffic passes none, or it would never arrive. */
  isWaypoints(kind: "Pod" | "Service", metadata: ObjectMeta): boolean {
    if (metadata.labels?.[MANAGED_LABEL] === MANAGED_BY_US) return true;
    const key = `${metadata.namespace ?? "default"}/${metadata.name}`;
    if (kind === "Service") return [...(this.#byService.get(key) ?? [])].some((k) => this.#has(k));
    return this.#has(gatewayOf(metadata) ?? "");
  }

  set(key: string, gateway: Gateway | undefined): void {
    const before = this.#gateways.get(key);
    if (before !== undefined) {
      deleteFromSet(this.#byClass, before.spec.gatewayClassName, key);
      deleteFromSet(this.#byService, serviceOf(before), key);
      this.#gained.add(serviceOf(before));
    }
    this.#dirty.add(key);
    if (gateway === undefined) {
      this.#gateways.delete(key);
      return;
    }
    this.#gateways.set(key, gateway);
    addToSet(this.#byClass, gateway.spec.gatewayClassName, key);
    addToSet(this.#byService, serviceOf(gateway), key);
    this.#gained.add(serviceOf(gateway));
  }

  setClass(name: string, gatewayClass: GatewayClass | undefined): void {
    if (gatewayClass === undefined) this.#classes.delete(name);
    else this.#classes.set(name, gatewayClass);
    for (const key of this.ofClass(name)) this.#dirty.add(key);
  }

  /** Since it was last asked: whether they pass a waypoint may have changed. */
  takeServices(): ReadonlySet<string> {
    const taken = new Set(this.#gained);
    this.#gained.clear();
    return taken;
  }

  /** The pods whose labels name the Gateway. */
  podsOf(key: string): readonly string[] {
    const slash = key.indexOf("/");
    const name = key.slice(slash + 1);
    return this.#deps.pods.selected(key.slice(0, slash), { [GATEWAY_NAME_LABEL]: name });
  }

  /** The labels of a pod before and after it changed. */
  podChanged(...versions: readonly (ObjectMeta | undefined)[]): void {
    for (const metadata of versions) {
      const key = metadata && gatewayOf(metadata);
      if (key !== undefined) this.#dirty.add(key);
    }
  }

  serviceChanged(service: string): void {
    for (const key of this.#byService.get(service) ?? []) this.#dirty.add(key);
  }

  /** The Gateways that are something else now; to be asked when all changes are in. */
  settle(): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const key of this.#dirty) {
      const before = this.#waypoints.get(key);
      const now = this.#derive(key);
      if (isDeepStrictEqual(before, now)) continue;
      changed.add(key);
      const gateway = this.#gateways.get(key);
      const came = (before === undefined) !== (now === undefined);
      if (came && gateway !== undefined) this.#gained.add(serviceOf(gateway));
      if (now === undefined) this.#waypoints.delete(key);
      else this.#waypoints.set(key, now);
    }
    this.#dirty.clear();
    return changed;
  }

  #has(key: string): boolean {
    return this.#waypoints.has(key);
  }

  #derive(key: string): Waypoint | undefined {
    const gateway = this.#gateways.get(key);
    if (gateway === undefined || !isOfRevision(gateway, this.#options.revision)) return undefined;
    const { pods, services } = this.#deps;
    const surroundings = {
      gatewayClass: this.#classes.get(gateway.spec.gatewayClassName),
      service: services.get(serviceOf(gateway)),
      pods: [...this.podsOf(key)].sort().flatMap((pod) => pods.get(pod) ?? []),
    };
    return waypointOf(gateway, surroundings, this.#options.clusterDomain);
  }
}

function serviceOf(gateway: Gateway): string {
  const name = deploymentName(gateway);
  return namespacedName({ metadata: { ...gateway.metadata, name } });
}
