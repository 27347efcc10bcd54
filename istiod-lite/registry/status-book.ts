/** Collects what is to be said of objects, until it is taken to be written. */
import type { KubeService, ServiceEntry, WorkloadEntry } from "#common/kubernetes/objects.ts";
import type { EntryVerdict } from "./entry-publisher.ts";
import { namespacedName } from "./pod-facts.ts";
import type { ObjectStatus } from "./registry-update.ts";

export class StatusBook {
  /** By `<kind>/<namespace>/<name>`. */
  readonly #statuses = new Map<string, ObjectStatus>();
  /** Services of which something is not in force. */
  readonly #warned = new Set<string>();

  set(status: ObjectStatus): void {
    this.#statuses.set(`${status.kind}/${status.namespace}/${status.name}`, status);
  }

  /** Forgets what was to be said of an object (`<kind>/<namespace>/<name>`). */
  delete(key: string): void {
    this.#statuses.delete(key);
  }

  /** Only a service with warnings, now or before, has anything said about it. */
  service(service: KubeService, warnings: readonly string[]): void {
    const key = namespacedName(service);
    if (warnings.length > 0) this.#warned.add(key);
    else if (!this.#warned.delete(key)) return;
    const { namespace = "default", name, generation } = service.metadata;
    this.set({ kind: "Service", namespace, name, generation, conditions: [], warnings });
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
