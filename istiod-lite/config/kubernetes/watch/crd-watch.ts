/**
 * Which of the kinds that need a CustomResourceDefinition the cluster has, and in which version.
 * Definitions are large: all of them are watched by their metadata alone, and only those that
 * matter are read.
 */

import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll, METADATA_ONLY } from "#common/kube-client/list-collection.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { pause } from "#common/runtime/pause.ts";
import { RETRY_INITIAL_MS, RETRY_MAX_MS } from "#istiod-lite/config/kubernetes/limits.ts";
import {
  type CollectionSink,
  CollectionWatch,
} from "#istiod-lite/config/kubernetes/watch/collection-watch.ts";
import type { KindSource } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

/**
 * `pending`: the definition is there, but not established (yet). `unserved`: it serves no version
 * that is read here. In both cases there may be objects, which nobody can see.
 */
export type Served =
  | { readonly apiVersion: string }
  | { readonly apiVersion?: never; readonly because: "absent" | "pending" | "unserved" };

export interface CrdWatchDeps {
  readonly client: KubeClient;
  readonly kinds: readonly KindSource[];
  /** Of each kind once at first, then whenever it may have changed. */
  readonly onServed: (kind: KindSource, served: Served) => void;
  readonly onTrouble: (error: KubeApiError | undefined) => void;
  readonly random?: () => number;
}

export class CrdWatch implements CollectionSink {
  readonly #deps: CrdWatchDeps;
  readonly #byName: ReadonlyMap<string, KindSource>;
  readonly #watch: CollectionWatch;
  readonly #stop = new AbortController();
  /** Names of definitions that are there, as far as the list or the watch said. */
  #present = new Set<string>();
  #listed = new Set<string>();
  #isFirst = true;
  /** One look at a definition after the other, by name. */
  readonly #looks = new Map<string, Promise<void>>();

  constructor(deps: CrdWatchDeps) {
    this.#deps = deps;
    this.#byName = new Map(deps.kinds.flatMap((kind) => (kind.crd ? [[kind.crd, kind]] : [])));
    const path = collectionPath("CustomResourceDefinition");
    const { client, random } = deps;
    const collection = { path, accept: METADATA_ONLY };
    this.#watch = new CollectionWatch(collection, {
      client,
      sink: this,
      ...(random && { random }),
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#watch.stop();
    await Promise.all(this.#looks.values());
  }

  begin(): void {
    this.#listed = new Set();
  }

  page(items: readonly JsonObject[]): void {
    for (const item of items) {
      const name = this.#nameOf(item);
      if (name !== undefined) this.#listed.add(name);
    }
  }

  /** That all of them vanished while nobody looked is asked for twice. */
  end(confirmed: boolean): boolean {
    if (this.#listed.size === 0 && this.#present.size > 0 && !confirmed) return false;
    const before = this.#present;
    this.#present = this.#listed;
    for (const [name, kind] of this.#byName) {
      if (this.#present.has(name) || before.has(name)) this.#look(name);
      else if (this.#isFirst) this.#deps.onServed(kind, { because: "absent" });
    }
    this.#isFirst = false;
    return true;
  }

  upsert(object: JsonObject): void {
    const name = this.#nameOf(object);
    if (name === undefined) return;
    this.#present.add(name);
    this.#look(name);
  }

  remove(object: JsonObject): void {
    const name = this.#nameOf(object);
    if (name === undefined) return;
    this.#present.delete(name);
    this.#look(name);
  }

  trouble(error: KubeApiError | undefined): void {
    this.#deps.onTrouble(error);
  }

  #nameOf({ metadata }: JsonObject): string | undefined {
    const name = isJsonObject(metadata) ? metadata.name : undefined;
    return typeof name === "string" && this.#byName.has(name) ? name : undefined;
  }

  #look(name: string): void {
    const last = this.#looks.get(name) ?? Promise.resolve();
    const next = last.then(() => this.#readUntilRead(name));
    this.#looks.set(name, next);
    void next.then(() => {
      if (this.#looks.get(name) === next) this.#looks.delete(name);
    });
  }

  async #readUntilRead(name: string): Promise<void> {
    const { onServed, onTrouble, random } = this.#deps;
    const { signal } = this.#stop;
    const kind = this.#byName.get(name);
    const backoff = new Backoff({ initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS }, random);
    while (!signal.aborted && kind !== undefined) {
      try {
        const definition = await this.#read(name);
        if (signal.aborted) return;
        onTrouble(undefined);
        onServed(kind, servedVersion(definition, kind));
        return;
      } catch (error) {
        if (!(error instanceof KubeApiError)) throw error;
        onTrouble(error);
        await pause(backoff.next(), signal);
      }
    }
  }

  /** Asked for as a list, so that no right is needed beside those of watching. */
  async #read(name: string): Promise<unknown> {
    const path = collectionPath("CustomResourceDefinition");
    const fieldSelector = `metadata.name=${name}`;
    const [found] = await listAll(this.#deps.client, { path, fieldSelector }, this.#stop.signal);
    return found;
  }
}

/** Source: apiextensions/v1 CustomResourceDefinition. */
function servedVersion(definition: unknown, { apiVersions }: KindSource): Served {
  if (definition === undefined) return { because: "absent" };
  const { spec, status } = isJsonObject(definition) ? definition : {};
  const { group, versions } = isJsonObject(spec) ? spec : {};
  const conditions =
    isJsonObject(status) && Array.isArray(status.conditions) ? status.conditions : [];
  const isEstablished = (conditions as readonly unknown[]).some(
    (condition) =>
      isJsonObject(condition) && condition.type === "Established" && condition.status === "True",
  );
  const list: readonly unknown[] = Array.isArray(versions) ? versions : [];
  const served = list.flatMap((version) =>
    isJsonObject(version) && version.served === true ? [`${group}/${version.name}`] : [],
  );
  const apiVersion = apiVersions.find((version) => served.includes(version));
  // Its next change tells when it is.
  if (!isEstablished) return { because: "pending" };
  return apiVersion === undefined ? { because: "unserved" } : { apiVersion };
}
