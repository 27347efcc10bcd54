/**
 * What runs for each Gateway, and what its status says: derived again where the Gateway, its class,
 * its waypoint or a ConfigMap that it takes parameters from has changed.
 */
import { isDeepStrictEqual } from "node:util";
import type { ConfigMap, Gateway, ObjectChange } from "#common/kubernetes/objects.ts";
import { namespacedName } from "../pod-facts.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ObjectStatus, OwnedObjects } from "../registry-update.ts";
import type { Stores } from "../stores.ts";
import { gatewayClassStatus, gatewayStatus, withParameterProblem } from "./gateway-status.ts";
import { CLASS_DEFAULTS_LABEL, WAYPOINT_CONTROLLER } from "./names.ts";
import { waypointObjects } from "./waypoint-objects.ts";

export class GatewayController {
  readonly #options: RegistryOptions;
  readonly #stores: Stores;
  readonly #configMaps = new Map<string, ConfigMap>();
  /** What was last said to run, by Gateway. */
  readonly #owned = new Map<string, OwnedObjects>();

  constructor(options: RegistryOptions, stores: Stores) {
    this.#options = options;
    this.#stores = stores;
  }

  apply(
    changes: readonly ObjectChange[],
    waypoints: ReadonlySet<string>,
  ): { readonly statuses: readonly ObjectStatus[]; readonly owned: readonly OwnedObjects[] } {
    const dirty = new Set(waypoints);
    const statuses: ObjectStatus[] = [];
    for (const change of changes) {
      const [, namespace = "", name = ""] = change.key.split("/");
      if (change.kind === "Gateway") dirty.add(`${namespace}/${name}`);
      else if (change.kind === "ConfigMap")
        this.#takeConfigMap(`${namespace}/${name}`, change, dirty);
      else if (change.kind === "GatewayClass") {
        for (const key of this.#stores.gateways.ofClass(name)) dirty.add(key);
        const gatewayClass = this.#stores.gateways.gatewayClass(name);
        if (gatewayClass?.spec.controllerName === WAYPOINT_CONTROLLER) {
          statuses.push(gatewayClassStatus(gatewayClass));
        }
      }
    }
    const owned: OwnedObjects[] = [];
    for (const key of [...dirty].sort()) this.#derive(key, statuses, owned);
    return { statuses, owned };
  }

  #derive(key: string, statuses: ObjectStatus[], owned: OwnedObjects[]): void {
    const { gateways } = this.#stores;
    const gateway = gateways.gateway(key);
    const waypoint = gateways.waypoint(key);
    if (gateway === undefined || waypoint?.managed !== true) {
      // What a Gateway of another revision or class runs is somebody else's, unless it was ours.
      if (this.#owned.delete(key) || gateway === undefined) {
        owned.push({ owner: `Gateway/${key}`, objects: [] });
      }
      return;
    }
    const made = waypointObjects(gateway, this.#parameters(gateway), this.#options);
    const status = gatewayStatus(gateway, waypoint);
    if ("problem" in made) {
      statuses.push(withParameterProblem(status, made.problem));
      return;
    }
    statuses.push(status);
    const now = { owner: `Gateway/${key}`, objects: made.objects };
    if (isDeepStrictEqual(this.#owned.get(key), now)) return;
    this.#owned.set(key, now);
    owned.push(now);
  }

  /** The class's defaults first. */
  #parameters(gateway: Gateway): readonly ConfigMap[] {
    const { gatewayClassName, infrastructure } = gateway.spec;
    const { namespace = "default" } = gateway.metadata;
    const defaults = [...this.#configMaps.values()]
      .filter(
        ({ metadata }) =>
          metadata.namespace === this.#options.rootNamespace &&
          metadata.labels?.[CLASS_DEFAULTS_LABEL] === gatewayClassName,
      )
      .sort((a, b) => (namespacedName(a) < namespacedName(b) ? -1 : 1));
    const reference = infrastructure?.parametersRef;
    const own = reference && this.#configMaps.get(`${namespace}/${reference.name}`);
    return own === undefined ? defaults : [...defaults, own];
  }

  #takeConfigMap(key: string, { object }: ObjectChange, dirty: Set<string>): void {
    const before = this.#configMaps.get(key);
    const now = object?.kind === "ConfigMap" ? object : undefined;
    if (now === undefined) this.#configMaps.delete(key);
    else this.#configMaps.set(key, now);
    const { gateways } = this.#stores;
    for (const { metadata } of [before, now].flatMap((each) => each ?? [])) {
      const className = metadata.labels?.[CLASS_DEFAULTS_LABEL];
      for (const each of className === undefined ? [] : gateways.ofClass(className)) {
        dirty.add(each);
      }
    }
    const [namespace, name] = key.split("/");
    for (const gateway of gateways.keys()) {
      const { metadata, spec } = gateways.gateway(gateway) ?? {};
      const reference = spec?.infrastructure?.parametersRef?.name;
      if (reference === name && (metadata?.namespace ?? "default") === namespace)
        dirty.add(gateway);
    }
  }
}
