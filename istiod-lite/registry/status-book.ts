/** Collects what is to be said of objects, until it is taken to be written. */
import type { KubeService, ServiceEntry, WorkloadEntry } from "#common/kubernetes/objects.ts";
import { statusOf } from "#common/kubernetes/overlay.ts";
import type { EntryVerdict } from "./entry-publisher.ts";
import { namespacedName } from "./pod-facts.ts";
import type { ObjectStatus } from "./registry-update.ts";
import type { Binding } from "./waypoints/binding.ts";
import { boundConditions } from "./waypoints/binding-verdict.ts";
import { WAYPOINT_BOUND } from "./waypoints/names.ts";

export class StatusBook {
  /** By `<kind>/<namespace>/<name>`. */
  readonly #statuses = new Map<string, ObjectStatus>();
  /** Services of which there is something to say. */
  readonly #spoken = new Set<string>();

  set(status: ObjectStatus): void {
    this.#statuses.set(`${status.kind}/${status.namespace}/${status.name}`, status);
  }

  /** Forgets what was to be said of an object (`<kind>/<namespace>/<name>`). */
  delete(key: string): void {
    this.#statuses.delete(key);
  }

  /** Only a service with warnings or a waypoint, now or before, has anything said about it. */
  service(service: KubeService, warnings: readonly string[], binding: Binding): void {
    const key = namespacedName(service);
    const { namespace = "default", name, generation } = service.metadata;
    const conditions = boundConditions(binding, generation);
    const said = statusOf(service).conditions?.some(({ type }) => type === WAYPOINT_BOUND);
    if (warnings.length + conditions.length > 0) this.#spoken.add(key);
    else if (!this.#spoken.delete(key) && said !== true) return;
    this.set({ kind: "Service", namespace, name, generation, conditions, warnings });
  }

  entry(entry: ServiceEntry | WorkloadEntry, verdict: EntryVerdict): void {
    const { namespace = "default", name, generation } = entry.metadata;
    this.set({ kind: entry.kind, namespace, name, generation, warnings: [], ...verdict });
  }

  /** Everything since the last time, in the order of kinds and names. */
  take(): readonly ObjectStatus[] {
    const keys = [...this.#statuses.keys()].sort();
    const taken = keys.flatMap((key) => this.#statuses.get(key) ?? []);
    this.#statuses.clear();
    return taken;
  }
}
