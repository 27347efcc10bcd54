/**
 * The objects in force, by kind, and what changed of them since it was asked last. What comes from
 * the server passes through the same checks as the files of a folder.
 */

import { isDeepStrictEqual } from "node:util";
import { orderChanges } from "#common/kubernetes/diff-objects.ts";
import { type KubernetesObject, type ObjectChange, objectKey } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { failClosed } from "#istiod-lite/config/kubernetes/watch/fail-closed.ts";
import { keepObject } from "#istiod-lite/config/kubernetes/watch/keep-object.ts";
import type { ObjectProblems } from "#istiod-lite/config/kubernetes/watch/object-problems.ts";
import type { WatchedKind } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

type Objects = ReadonlyMap<string, KubernetesObject>;

const NONE: Objects = new Map();

export class KnownObjects {
  readonly #problems: ObjectProblems;
  readonly #onChange: () => void;
  readonly #byKind = new Map<WatchedKind, Map<string, KubernetesObject>>();
  readonly #changes = new Map<string, ObjectChange>();

  /** `onChange` is called whenever there is something to take. */
  constructor(problems: ObjectProblems, onChange: () => void) {
    this.#problems = problems;
    this.#onChange = onChange;
  }

  get(key: string): KubernetesObject | undefined {
    const kind = key.slice(0, key.indexOf("/"));
    return this.#byKind.get(kind as WatchedKind)?.get(key);
  }

  ofKind(kind: WatchedKind): Objects {
    return this.#byKind.get(kind) ?? NONE;
  }

  /**
   * The object as it is to be in force, and its key; of a refused one its last good state, or what
   * stands in for it, or nothing.
   */
  read(
    kind: WatchedKind,
    apiVersion: string,
    raw: JsonObject,
  ): { readonly key: string; readonly object: KubernetesObject | undefined } {
    const key = rawKey(kind, raw);
    const kept = keepObject(kind, apiVersion, raw);
    const { object, issues } = validateObject(kept);
    if (object !== undefined) {
      this.#problems.settle(key);
      if (issues.length > 0) this.#problems.warn(key, issues);
      return { key, object };
    }
    const before = this.get(key);
    const isSame = before !== undefined && before.metadata.uid === uidOf(raw);
    const instead = isSame ? before : failClosed(kept);
    const inForce = isSame ? "its last good state" : "something stricter";
    this.#problems.refuse(key, issues, instead === undefined ? "nothing" : inForce);
    return { key, object: instead };
  }

  upsert(kind: WatchedKind, apiVersion: string, raw: JsonObject): void {
    const { key, object } = this.read(kind, apiVersion, raw);
    this.#set(kind, key, object);
  }

  remove(kind: WatchedKind, raw: JsonObject): void {
    const key = rawKey(kind, raw);
    this.#problems.settle(key);
    this.#set(kind, key, undefined);
  }

  /** These, and no others of the kind. */
  replace(kind: WatchedKind, objects: Objects): void {
    for (const key of this.ofKind(kind).keys()) {
      if (objects.has(key)) continue;
      this.#problems.settle(key);
      this.#set(kind, key, undefined);
    }
    for (const [key, object] of objects) this.#set(kind, key, object);
  }

  /** Everything that changed since the last call, in the order in which it should be applied. */
  takeChanges(): ObjectChange[] {
    const changes = orderChanges([...this.#changes.values()]);
    this.#changes.clear();
    return changes;
  }

  #set(kind: WatchedKind, key: string, object: KubernetesObject | undefined): void {
    const objects = this.#byKind.get(kind) ?? new Map<string, KubernetesObject>();
    this.#byKind.set(kind, objects);
    const before = objects.get(key);
    if (before === object || isDeepStrictEqual(before, object)) return;
    if (object === undefined) objects.delete(key);
    else objects.set(key, object);
    this.#changes.set(key, object === undefined ? { key, kind } : { key, kind, object });
    this.#onChange();
  }
}

function uidOf({ metadata }: JsonObject): unknown {
  return isJsonObject(metadata) ? metadata.uid : undefined;
}

/** As `objectKey`, of what was not checked yet. Throws where the server gave it no name. */
function rawKey(kind: WatchedKind, { metadata }: JsonObject): string {
  const { name, namespace } = isJsonObject(metadata) ? metadata : {};
  if (typeof name !== "string" || name === "") throw new TypeError(`a ${kind} has no name`);
  const place = typeof namespace === "string" ? { namespace } : {};
  return objectKey({ kind, metadata: { name, ...place } });
}
