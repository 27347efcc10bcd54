/** Tells every waypoint what it has to know, from what the contributors make of the objects. */
import type { KubernetesKind, ObjectChange } from "#common/kubernetes/objects.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Stores } from "../stores.ts";
import { type Contributors, NO_CONTRIBUTORS } from "./contributors.ts";
import { MeshView } from "./mesh-view.ts";

/** What changes by the thousand, and says nothing that a contributor reads. */
const NOT_CONTRIBUTED: ReadonlySet<KubernetesKind> = new Set(["Pod", "EndpointSlice", "Node"]);

export class WaypointPublisher {
  readonly #mesh: MeshView;
  readonly #contributors: Contributors;

  constructor(
    options: RegistryOptions,
    stores: Stores,
    contributors: Contributors = NO_CONTRIBUTORS,
  ) {
    this.#mesh = new MeshView(options, stores);
    this.#contributors = contributors;
  }

  /** Takes a batch in that is in the stores already; returns the statuses to write. */
  apply(changes: readonly ObjectChange[]): readonly ObjectStatus[] {
    const { routes, backends, policies } = this.#contributors;
    const contributors = [...routes, ...backends, ...(policies === undefined ? [] : [policies])];
    for (const change of changes) {
      if (NOT_CONTRIBUTED.has(change.kind)) continue;
      for (const contributor of contributors) contributor.apply(change, this.#mesh);
    }
    return contributors.flatMap((contributor) => contributor.takeStatuses(this.#mesh));
  }
}
