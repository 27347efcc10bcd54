/**
 * Everything that is published right now, by type, name and alias, and what changed since it was
 * asked.
 */
import { hash } from "node:crypto";
import type { TypeUrl } from "#common/xds/type-urls.ts";
import {
  ADDRESS_TYPE,
  AUTHORIZATION_TYPE,
  CAPTURED_POD_TYPE,
  WAYPOINT_TYPE,
} from "#common/xds/type-urls.ts";
import { holdsAddress } from "./address-block.ts";
import { addToSet, deleteFromSet } from "./multi-map.ts";
import type { AddressBlock, PublishedResource } from "./registry-update.ts";

/** What a reader of the registry may ask. Answers are only good until the next `apply`. */
export interface ResourceView {
  get(typeUrl: TypeUrl, name: string): PublishedResource | undefined;
  /**
   * Every resource that has this name or alias, or else the services whose blocks hold this
   * address, ordered by name; the workloads of each service come before it.
   */
  lookup(typeUrl: TypeUrl, nameOrAlias: string): readonly PublishedResource[];
  all(typeUrl: TypeUrl): Iterable<PublishedResource>;
  /**
   * All as one list, the same (`===`) until one of them changes; undefined for a type with
   * resources that only some proxies may see.
   */
  everything(typeUrl: TypeUrl): readonly PublishedResource[] | undefined;
  count(typeUrl: TypeUrl): number;
}

export interface Publication {
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly value: Uint8Array;
  readonly scope?: string;
  readonly services?: readonly string[];
  readonly blocks?: readonly AddressBlock[];
}

// 128 bits of SHA-256 tell any two contents apart.
const VERSION_LENGTH = 22;

export class ResourceTable implements ResourceView {
  readonly #byName: Readonly<Record<TypeUrl, Map<string, PublishedResource>>> = {
    [ADDRESS_TYPE]: new Map(),
    [AUTHORIZATION_TYPE]: new Map(),
    [CAPTURED_POD_TYPE]: new Map(),
    [WAYPOINT_TYPE]: new Map(),
  };
  /** What `everything` has answered since the last change. */
  readonly #lists = new Map<TypeUrl, readonly PublishedResource[] | undefined>();
  /** Names of addresses by alias; only this type has aliases. */
  readonly #byAlias = new Map<string, Set<string>>();
  /** Names of the workloads of each service. */
  readonly #members = new Map<string, Set<string>>();
  /** Names of the services that have blocks: few. */
  readonly #withBlocks = new Set<string>();
  readonly #changed = new Map<string, PublishedResource>();
  readonly #removed = new Map<string, PublishedResource>();

  get(typeUrl: TypeUrl, name: string): PublishedResource | undefined {
    return this.#byName[typeUrl].get(name);
  }

  lookup(typeUrl: TypeUrl, nameOrAlias: string): readonly PublishedResource[] {
    const named = this.get(typeUrl, nameOrAlias);
    if (typeUrl !== ADDRESS_TYPE) return named === undefined ? [] : [named];
    if (named !== undefined) return this.#withMembers([nameOrAlias]);
    const exact = this.#byAlias.get(nameOrAlias);
    return this.#withMembers(exact === undefined ? this.#inBlock(nameOrAlias) : [...exact].sort());
  }

  all(typeUrl: TypeUrl): Iterable<PublishedResource> {
    return this.#byName[typeUrl].values();
  }

  everything(typeUrl: TypeUrl): readonly PublishedResource[] | undefined {
    if (!this.#lists.has(typeUrl)) {
      const all = [...this.all(typeUrl)];
      this.#lists.set(typeUrl, all.some(({ scope }) => scope !== undefined) ? undefined : all);
    }
    return this.#lists.get(typeUrl);
  }

  count(typeUrl: TypeUrl): number {
    return this.#byName[typeUrl].size;
  }

  /** Publishes, unless exactly this is published already. */
  set(publication: Publication): void {
    const { typeUrl, name, scope } = publication;
    const previous = this.get(typeUrl, name);
    const version = hash("sha256", publication.value, "base64url").slice(0, VERSION_LENGTH);
    if (previous?.version === version && previous.scope === scope) return;
    if (previous !== undefined) this.#unlink(previous);
    const resource = { ...publication, version };
    this.#lists.delete(typeUrl);
    this.#byName[typeUrl].set(name, resource);
    this.#link(resource);
    this.#note(resource, previous);
  }

  /** Withdraws; nothing happens if the name is not published. */
  delete(typeUrl: TypeUrl, name: string): void {
    const previous = this.get(typeUrl, name);
    if (previous === undefined) return;
    this.#unlink(previous);
    this.#lists.delete(typeUrl);
    this.#byName[typeUrl].delete(name);
    this.#changed.delete(changeKey(previous));
    this.#removed.set(changeKey(previous), previous);
  }

  #inBlock(address: string): readonly string[] {
    return [...this.#withBlocks].sort().filter((name) => {
      return holdsAddress(this.get(ADDRESS_TYPE, name)?.blocks ?? [], address);
    });
  }

  #withMembers(names: readonly string[]): readonly PublishedResource[] {
    const all = names.flatMap((name) => [...[...(this.#members.get(name) ?? [])].sort(), name]);
    return [...new Set(all)].flatMap((name) => this.get(ADDRESS_TYPE, name) ?? []);
  }

  /** What changed since the last call, ordered by type and name. */
  takeChanges(): { changed: PublishedResource[]; removed: PublishedResource[] } {
    const taken = { changed: inOrder(this.#changed), removed: inOrder(this.#removed) };
    this.#changed.clear();
    this.#removed.clear();
    return taken;
  }

  #note(resource: PublishedResource, previous: PublishedResource | undefined): void {
    const key = changeKey(resource);
    this.#changed.set(key, resource);
    this.#removed.delete(key);
    // A resource that moves to another proxy disappears from the one that had it.
    if (previous !== undefined && previous.scope !== resource.scope) {
      this.#removed.set(`${key}\0${previous.scope ?? ""}`, previous);
    }
  }

  #link({ name, aliases, services = [], blocks = [] }: PublishedResource): void {
    for (const alias of aliases) addToSet(this.#byAlias, alias, name);
    for (const service of services) addToSet(this.#members, service, name);
    if (blocks.length > 0) this.#withBlocks.add(name);
  }

  #unlink({ name, aliases, services = [] }: PublishedResource): void {
    for (const alias of aliases) deleteFromSet(this.#byAlias, alias, name);
    for (const service of services) deleteFromSet(this.#members, service, name);
    this.#withBlocks.delete(name);
  }
}

function changeKey(resource: PublishedResource): string {
  return `${resource.typeUrl}\0${resource.name}`;
}

function inOrder(resources: ReadonlyMap<string, PublishedResource>): PublishedResource[] {
  return [...resources.keys()].sort().flatMap((key) => resources.get(key) ?? []);
}
