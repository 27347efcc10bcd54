/**
 * The ConfigMap `istio-ca-root-cert` in every namespace: what proxies trust the control plane by.
 * New namespaces get it, and whoever changes or deletes it finds it put back. Source of the names:
 * Istio's namespace controller.
 */
import { applyObject, isNotFound } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { RepairQueue } from "#istiod-lite/config/kubernetes/leader/repair-queue.ts";
import { isTerminating } from "#istiod-lite/config/kubernetes/write/event-recorder.ts";
import { FIELD_MANAGER } from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";

export const ROOT_CONFIG_MAP = "istio-ca-root-cert";
const ROOT_KEY = "root-cert.pem";

export interface RootConfigMapsDeps {
  readonly client: KubeClient;
  readonly leadership: Leadership;
  readonly logger: Logger;
}

export class RootConfigMaps {
  readonly #deps: RootConfigMapsDeps;
  readonly #queue: RepairQueue;
  /** Namespaces that are not on their way out. */
  readonly #namespaces = new Set<string>();
  /** What the ConfigMap says, by namespace. */
  readonly #present = new Map<string, string | undefined>();
  #rootsPem: string | undefined;

  constructor(deps: RootConfigMapsDeps) {
    this.#deps = deps;
    this.#queue = new RepairQueue({
      ...deps,
      what: `ConfigMap ${ROOT_CONFIG_MAP}`,
      isDue: (namespace) => this.#isDue(namespace),
      write: (namespace) => this.#write(namespace),
    });
    deps.leadership.onChange((isLeader) => {
      if (isLeader) this.#queue.add(this.#namespaces);
    });
  }

  apply(changes: readonly ObjectChange[]): void {
    const touched = new Set<string>();
    for (const { key, kind, object } of changes) {
      const [, namespace = "", name = ""] = key.split("/");
      if (kind === "Namespace") {
        touched.add(name);
        if (object !== undefined && object.metadata.deletionTimestamp === undefined) {
          this.#namespaces.add(name);
        } else {
          this.#namespaces.delete(name);
          this.#queue.forget(name);
        }
      } else if (kind === "ConfigMap" && name === ROOT_CONFIG_MAP) {
        touched.add(namespace);
        const data = object?.kind === "ConfigMap" ? object.data : undefined;
        if (object === undefined) this.#present.delete(namespace);
        else this.#present.set(namespace, data?.[ROOT_KEY]);
      }
    }
    this.#queue.add(touched);
  }

  /** What is to be trusted from now on. */
  setRoots(rootsPem: string): void {
    this.#rootsPem = rootsPem;
    this.#queue.add(this.#namespaces);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  #isDue(namespace: string): boolean {
    if (this.#rootsPem === undefined || !this.#namespaces.has(namespace)) return false;
    return this.#present.get(namespace) !== this.#rootsPem;
  }

  async #write(namespace: string): Promise<void> {
    const rootsPem = this.#rootsPem ?? "";
    const labels = { "istio.io/config": "true" };
    const object = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: ROOT_CONFIG_MAP, namespace, labels },
      data: { [ROOT_KEY]: rootsPem },
    };
    try {
      await applyObject(this.#deps.client, object, FIELD_MANAGER);
    } catch (error) {
      // The namespace went before its deletion was heard of.
      if (!isNotFound(error) && !isTerminating(error)) throw error;
      this.#namespaces.delete(namespace);
    }
  }
}
