/** Which waypoint every object has now, and whom a waypoint concerns. */
import { isDeepStrictEqual } from "node:util";
import type { Namespace, ObjectMeta } from "#common/kubernetes/objects.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import type { RegistryOptions } from "../registry-options.ts";
import { type Binding, bind, UNBOUND } from "./binding.ts";
import type { GatewayStore } from "./gateway-store.ts";

export type BoundKind = "Service" | "ServiceEntry" | "WorkloadEntry" | "Pod";

type Options = Pick<RegistryOptions, "clusterDomain" | "waypointUnavailable" | "enforceWaypoints">;

interface BindingsDeps {
  readonly gateways: GatewayStore;
  readonly namespaces: ReadonlyMap<string, Namespace>;
}

const NONE: ReadonlySet<string> = new Set();

/** Objects are known by `<kind>/<namespace>/<name>`. */
export class Bindings {
  readonly #options: Options;
  readonly #deps: BindingsDeps;
  readonly #bindings = new Map<string, Binding>();
  /** By waypoint: the objects whose labels lead to it. */
  readonly #naming = new Map<string, Set<string>>();
  /** By waypoint: the services that it is told of. */
  readonly #served = new Map<string, Set<string>>();
  readonly #unavailable = { "fail-open": 0, "fail-closed": 0 };

  constructor(options: Options, deps: BindingsDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** How many objects have a waypoint that is not there, by what becomes of their traffic. */
  get unavailable(): Readonly<Record<"fail-open" | "fail-closed", number>> {
    return this.#unavailable;
  }

  of(key: string): Binding {
    return this.#bindings.get(key) ?? UNBOUND;
  }

  /** Decides anew, and remembers. */
  bind(kind: BoundKind, object: { readonly metadata: ObjectMeta }): Binding {
    const { metadata } = object;
    const { gateways, namespaces } = this.#deps;
    const { namespace = "default", name } = metadata;
    const own = (kind === "Pod" || kind === "Service") && gateways.isWaypoints(kind, metadata);
    const traffic = kind === "Service" || kind === "ServiceEntry" ? "service" : "workload";
    const binding = own
      ? UNBOUND
      : bind(
          { traffic, metadata },
          {
            waypoint: (key) => gateways.waypoint(key),
            namespace: namespaces.get(namespace),
            clusterDomain: this.#options.clusterDomain,
            unavailable: this.#options.waypointUnavailable,
            enforce: this.#options.enforceWaypoints,
          },
        );
    this.#remember(`${kind}/${namespace}/${name}`, binding);
    return binding;
  }

  release(key: string): void {
    this.#remember(key, UNBOUND);
  }

  /** The objects whose binding a waypoint's change may change. */
  naming(waypoint: string): ReadonlySet<string> {
    return this.#naming.get(waypoint) ?? NONE;
  }

  /** The Services and ServiceEntries that the waypoint is to know. */
  served(waypoint: string): ReadonlySet<string> {
    return this.#served.get(waypoint) ?? NONE;
  }

  #remember(key: string, binding: Binding): void {
    const before = this.of(key);
    if (isDeepStrictEqual(before, binding)) return;
    if (before.unavailable !== undefined) this.#unavailable[before.unavailable]--;
    if (binding.unavailable !== undefined) this.#unavailable[binding.unavailable]++;
    for (const waypoint of before.named) deleteFromSet(this.#naming, waypoint, key);
    for (const waypoint of before.serving) deleteFromSet(this.#served, waypoint, key);
    for (const waypoint of binding.named) addToSet(this.#naming, waypoint, key);
    const isService = key.startsWith("Service");
    for (const waypoint of isService ? binding.serving : []) {
      addToSet(this.#served, waypoint, key);
    }
    if (binding === UNBOUND) this.#bindings.delete(key);
    else this.#bindings.set(key, binding);
  }
}
