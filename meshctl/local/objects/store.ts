/**
 * What an API server adds to objects: uid, creation time, generation, resource version. They stay
 * with an object for as long as it exists.
 */
import { isDeepStrictEqual } from "node:util";
import { type KubernetesObject, objectKey } from "#common/kubernetes/objects.ts";

interface Record {
  readonly uid: string;
  readonly creationTimestamp: string;
  readonly generation: number;
  readonly resourceVersion: string;
  /** What was stamped, and what came of it. */
  readonly source: KubernetesObject;
  readonly stamped: KubernetesObject;
}

export interface ObjectStoreDeps {
  readonly newUid: () => string;
  readonly now: () => Date;
}

export class ObjectStore {
  readonly #deps: ObjectStoreDeps;
  readonly #records = new Map<string, Record>();
  #resourceVersion = 0;

  constructor(deps: ObjectStoreDeps) {
    this.#deps = deps;
  }

  /**
   * The object with its server-side metadata; the very same value as before if nothing changed.
   * What the object brings along itself (a creationTimestamp, say) wins.
   */
  stamp<Kind extends KubernetesObject>(object: Kind): Kind {
    const key = objectKey(object);
    const old = this.#records.get(key);
    if (old !== undefined && isDeepStrictEqual(old.source, object)) return old.stamped as Kind;
    const resourceVersion = String(++this.#resourceVersion);
    const uid = object.metadata.uid ?? old?.uid ?? this.#deps.newUid();
    const creationTimestamp = old?.creationTimestamp ?? this.#deps.now().toISOString();
    const changed = old !== undefined && !isDeepStrictEqual(specOf(old.source), specOf(object));
    const generation = (old?.generation ?? 1) + (changed ? 1 : 0);
    const metadata = { uid, creationTimestamp, generation, ...object.metadata, resourceVersion };
    const stamped: Kind = { ...object, metadata };
    this.#records.set(key, {
      uid,
      creationTimestamp,
      generation,
      resourceVersion,
      source: object,
      stamped,
    });
    return stamped;
  }

  /** Forgets objects that are not among these keys: one that comes back is a new one. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#records.keys()) if (!keys.has(key)) this.#records.delete(key);
  }
}

function specOf(object: KubernetesObject): unknown {
  return "spec" in object ? object.spec : undefined;
}
