/** The encoded resources of the mesh, each held once and shared by all streams, with what changed. */
import { createHash } from "node:crypto";
import type { TypeUrl } from "#common/xds/type-urls.ts";

export interface Resource {
  readonly name: string;
  /** Other names it is found under: `<network>/<ip>`. */
  readonly aliases: readonly string[];
  readonly value: Uint8Array;
  /** Hash of the content: equal content has an equal version, in every istiod-lite. */
  readonly version: string;
  /** Only the proxy of this node may have it; undefined for everybody. */
  readonly node: string | undefined;
}

export type NewResource = Omit<Resource, "version">;

type Listener = (typeUrl: TypeUrl, names: readonly string[]) => void;

interface TypeCache {
  readonly resources: Map<string, Resource>;
  readonly byAlias: Map<string, Set<string>>;
}

export class ResourceCache {
  readonly #types = new Map<TypeUrl, TypeCache>();
  readonly #listeners = new Set<Listener>();

  /** Replaces and removes; those whose content stays the same are no change. */
  update(typeUrl: TypeUrl, upserts: readonly NewResource[], removed: readonly string[]): void {
    const cache = this.#cache(typeUrl);
    const changed: string[] = [];
    for (const name of removed) if (remove(cache, name)) changed.push(name);
    for (const resource of upserts) if (put(cache, resource)) changed.push(resource.name);
    if (changed.length === 0) return;
    for (const listener of this.#listeners) listener(typeUrl, changed);
  }

  get(typeUrl: TypeUrl, name: string): Resource | undefined {
    return this.#cache(typeUrl).resources.get(name);
  }

  /** Real names for a name or an alias. */
  resolve(typeUrl: TypeUrl, nameOrAlias: string): readonly string[] {
    const cache = this.#cache(typeUrl);
    if (cache.resources.has(nameOrAlias)) return [nameOrAlias];
    return [...(cache.byAlias.get(nameOrAlias) ?? [])].sort();
  }

  names(typeUrl: TypeUrl): Iterable<string> {
    return this.#cache(typeUrl).resources.keys();
  }

  size(typeUrl: TypeUrl): number {
    return this.#cache(typeUrl).resources.size;
  }

  /** Calls the listener with the names of each update; the returned function ends that. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #cache(typeUrl: TypeUrl): TypeCache {
    let cache = this.#types.get(typeUrl);
    if (cache === undefined) {
      cache = { resources: new Map(), byAlias: new Map() };
      this.#types.set(typeUrl, cache);
    }
    return cache;
  }
}

function put(cache: TypeCache, resource: NewResource): boolean {
  const version = contentVersion(resource);
  if (cache.resources.get(resource.name)?.version === version) return false;
  remove(cache, resource.name);
  cache.resources.set(resource.name, { ...resource, version });
  for (const alias of resource.aliases) {
    const names = cache.byAlias.get(alias) ?? new Set<string>();
    cache.byAlias.set(alias, names.add(resource.name));
  }
  return true;
}

function remove(cache: TypeCache, name: string): boolean {
  const resource = cache.resources.get(name);
  if (resource === undefined) return false;
  cache.resources.delete(name);
  for (const alias of resource.aliases) {
    const names = cache.byAlias.get(alias);
    names?.delete(name);
    if (names?.size === 0) cache.byAlias.delete(alias);
  }
  return true;
}

function contentVersion(resource: NewResource): string {
  const hash = createHash("sha256").update(resource.value);
  for (const alias of resource.aliases) hash.update(`\u0000${alias}`);
  return hash.digest("base64url").slice(0, 22);
}
