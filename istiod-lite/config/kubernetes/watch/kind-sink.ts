/** Takes what is said of one kind into the known objects, whole lists at once. */

import type { KubeApiError } from "#common/kube-client/kube-client.ts";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { JsonObject } from "#common/runtime/json-object.ts";
import type { CollectionSink } from "#istiod-lite/config/kubernetes/watch/collection-watch.ts";
import type { KnownObjects } from "#istiod-lite/config/kubernetes/watch/known-objects.ts";
import type { WatchedKind } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";
import { LOST_KIND_OBJECTS } from "#istiod-lite/limits.ts";

export interface KindSinkDeps {
  readonly kind: WatchedKind;
  readonly apiVersion: string;
  readonly known: KnownObjects;
  readonly onListed: () => void;
  readonly onTrouble: (error: KubeApiError | undefined) => void;
}

export class KindSink implements CollectionSink {
  readonly #deps: KindSinkDeps;
  #listed = new Map<string, KubernetesObject>();
  #count = 0;

  constructor(deps: KindSinkDeps) {
    this.#deps = deps;
  }

  begin(): void {
    this.#listed = new Map();
    this.#count = 0;
  }

  page(items: readonly JsonObject[]): void {
    const { kind, apiVersion, known } = this.#deps;
    this.#count += items.length;
    for (const item of items) {
      const { key, object } = known.read(kind, apiVersion, item);
      if (object !== undefined) this.#listed.set(key, object);
    }
  }

  /**
   * A cluster without a namespace is none, and a kind of which everything vanished while nobody
   * looked is asked for twice: such an answer may be a server's that does not know better yet.
   */
  end(confirmed: boolean): boolean {
    const { kind, known, onListed } = this.#deps;
    const isEmpty = this.#count === 0;
    if (isEmpty && kind === "Namespace") return false;
    if (isEmpty && known.ofKind(kind).size > LOST_KIND_OBJECTS && !confirmed) return false;
    known.replace(kind, this.#listed);
    this.#listed = new Map();
    onListed();
    return true;
  }

  upsert(object: JsonObject): void {
    this.#deps.known.upsert(this.#deps.kind, this.#deps.apiVersion, object);
  }

  remove(object: JsonObject): void {
    this.#deps.known.remove(this.#deps.kind, object);
  }

  trouble(error: KubeApiError | undefined): void {
    this.#deps.onTrouble(error);
  }
}
