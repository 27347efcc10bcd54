/**
 * One resource type on one delta xDS stream: what the client asked for and what it has to be told
 * next. Free of I/O: requests go in, responses come out. One response is under way at a time; what
 * changes meanwhile is coalesced by name, so a slow client costs names, not messages.
 *
 * A stream that wants everything holds everything that is not pending: nothing is remembered per
 * resource, which keeps a thousand proxies of a large mesh cheap. The price is that a resource
 * which came and went between two responses is named as removed to a client that never had it.
 */
import type { DeltaDiscoveryRequest } from "#common/xds/discovery-rpc.ts";
import type { TypeUrl } from "#common/xds/type-urls.ts";
import { RESPONSE_BYTES, SUBSCRIPTIONS_PER_STREAM } from "../limits.ts";
import { holdsAddress } from "../registry/address-block.ts";
import type { PublishedResource } from "../registry/registry-update.ts";
import type { ResourceView } from "../registry/resource-table.ts";

const WILDCARD = "*";

export interface PendingResponse {
  readonly resources: readonly PublishedResource[];
  readonly removedResources: readonly string[];
  /** The list of resources is that of other streams, too. */
  readonly shared?: true;
}

export interface RequestOutcome {
  /** The client refused the response with this message. */
  readonly rejected: string | undefined;
}

export class Subscription {
  readonly #view: ResourceView;
  readonly #typeUrl: TypeUrl;
  readonly #scope: string;
  #wildcard = false;
  /** Subscribed by name or alias. */
  readonly #names = new Set<string>();
  /** Real names that were sent because a name was subscribed. */
  readonly #held = new Set<string>();
  /** Names to tell about: what is there now is sent, what is not is removed. */
  readonly #pending = new Set<string>();
  /** Everything is to be told of, beside what is pending: no names are kept for that. */
  #everything = false;
  #outstanding: string | undefined;
  #started = false;
  #answered = false;

  /** Sees the resources of its own `scope` beside those of none; "" is nobody's scope. */
  constructor(view: ResourceView, typeUrl: TypeUrl, scope: string) {
    this.#view = view;
    this.#typeUrl = typeUrl;
    this.#scope = scope;
  }

  /** More names than one stream may subscribe to. */
  get overLimit(): boolean {
    return this.#names.size > SUBSCRIPTIONS_PER_STREAM;
  }

  /** For /debug/syncz. */
  get state(): { readonly synced: boolean; readonly wildcard: boolean; readonly pending: number } {
    return {
      synced: this.#answered && this.#outstanding === undefined && this.#size === 0,
      wildcard: this.#wildcard,
      pending: this.#size,
    };
  }

  /** Takes a request of this type: a subscription, an acknowledgement, or both. */
  request(request: DeltaDiscoveryRequest): RequestOutcome {
    const answers = request.responseNonce !== "" && request.responseNonce === this.#outstanding;
    if (answers) this.#outstanding = undefined;
    const { subscribe, unsubscribe } = request;
    if (this.#started) this.#subscribe(subscribe);
    else this.#start(subscribe, unsubscribe, request.initialResourceVersions);
    this.#unsubscribe(unsubscribe);
    return { rejected: answers ? request.errorDetail?.message : undefined };
  }

  /** The resource was published, changed, or withdrawn. */
  changed(resource: PublishedResource): void {
    if (!this.#started) return;
    const { name } = resource;
    if (this.#held.has(name) || (this.#wildcard && this.#isVisible(resource))) {
      this.#pending.add(name);
    } else if (this.#names.size > 0 && this.#isAskedFor(resource)) {
      this.#pending.add(name);
      // A service is nothing without its endpoints.
      for (const member of this.#view.lookup(this.#typeUrl, name)) this.#pending.add(member.name);
    }
  }

  /** By its name or one of its addresses, or as a workload of a service that was asked for. */
  #isAskedFor({ name, aliases, services = [], blocks = [] }: PublishedResource): boolean {
    return (
      this.#names.has(name) ||
      aliases.some((alias) => this.#names.has(alias)) ||
      services.some((service) => this.#held.has(service)) ||
      (blocks.length > 0 && [...this.#names].some((asked) => holdsAddress(blocks, asked)))
    );
  }

  /**
   * How many resources the next response is about; undefined while one is under way or there is
   * nothing to say.
   */
  get ready(): number | undefined {
    if (!this.#started || this.#outstanding !== undefined) return undefined;
    return this.#size === 0 && this.#answered ? undefined : this.#size;
  }

  /** The next response, or undefined where nothing is `ready`. */
  take(nonce: string): PendingResponse | undefined {
    if (this.ready === undefined) return undefined;
    const response = this.#answered
      ? this.#build(RESPONSE_BYTES)
      : (this.#buildEverything() ?? this.#build(Number.POSITIVE_INFINITY));
    this.#answered = true;
    this.#outstanding = nonce;
    return response;
  }

  /**
   * The first request of a type. No names is the old form of "everything"; everything in both lists
   * is how a client says that it will ask for what it needs.
   */
  #start(
    subscribe: readonly string[],
    unsubscribe: readonly string[],
    initialResourceVersions: ReadonlyMap<string, string>,
  ): void {
    this.#started = true;
    const wanted = subscribe.length === 0 ? [WILDCARD] : subscribe;
    const onDemand = unsubscribe.includes(WILDCARD);
    this.#subscribe(wanted.filter((name) => name !== WILDCARD || !onDemand));
    if (initialResourceVersions.size > 0) this.#listEverything(initialResourceVersions);
    for (const [name, version] of initialResourceVersions) {
      if (this.#visible(name)?.version === version) this.#pending.delete(name);
      else this.#pending.add(name);
      if (!this.#wildcard) this.#held.add(name);
    }
  }

  #subscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name !== WILDCARD) this.#subscribeTo(name);
      else if (!this.#wildcard) {
        this.#wildcard = true;
        this.#everything = true;
        if (this.#answered || this.#view.everything(this.#typeUrl) === undefined) {
          this.#listEverything();
        }
      }
    }
  }

  /** Name by name, but for what is `held` as it is now. */
  #listEverything(held?: ReadonlyMap<string, string>): void {
    if (!this.#everything) return;
    this.#everything = false;
    for (const resource of this.#view.all(this.#typeUrl)) {
      if (held?.get(resource.name) === resource.version) continue;
      if (this.#isVisible(resource)) this.#pending.add(resource.name);
    }
  }

  /**
   * A client that asks again is told again; a name that is not there is answered as removed.
   * Whoever asks for a service is told of its workloads too.
   */
  #subscribeTo(name: string): void {
    this.#names.add(name);
    const found = this.#view.lookup(this.#typeUrl, name);
    for (const resource of found) this.#pending.add(resource.name);
    if (found.length === 0) this.#pending.add(name);
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === WILDCARD) this.#unsubscribeWildcard();
      else if (this.#names.delete(name)) {
        // Services come after their workloads, which are let go with them.
        for (const resource of [...this.#view.lookup(this.#typeUrl, name)].reverse()) {
          if (!this.#isAskedFor(resource)) this.#held.delete(resource.name);
        }
      }
    }
  }

  /** What was pending only because everything was wanted is not wanted any more. */
  #unsubscribeWildcard(): void {
    if (!this.#wildcard) return;
    this.#wildcard = false;
    this.#everything = false;
    this.#pending.clear();
    for (const name of this.#names) this.#subscribeTo(name);
  }

  #isVisible(resource: PublishedResource): boolean {
    return resource.scope === undefined || resource.scope === this.#scope;
  }

  #visible(name: string): PublishedResource | undefined {
    const resource = this.#view.get(this.#typeUrl, name);
    return resource !== undefined && this.#isVisible(resource) ? resource : undefined;
  }

  get #size(): number {
    return this.#pending.size + (this.#everything ? this.#view.count(this.#typeUrl) : 0);
  }

  /** One list for all who want just everything: it is made and encoded once. */
  #buildEverything(): PendingResponse | undefined {
    if (!this.#everything) return undefined;
    const resources = this.#names.size > 0 ? undefined : this.#view.everything(this.#typeUrl);
    if (resources === undefined) {
      this.#listEverything();
      return undefined;
    }
    const removedResources = [...this.#pending].filter((name) => !this.#visible(name));
    this.#everything = false;
    this.#pending.clear();
    return { resources, removedResources, shared: true };
  }

  #build(maxBytes: number): PendingResponse {
    const resources: PublishedResource[] = [];
    const removedResources: string[] = [];
    let bytes = 0;
    for (const name of this.#pending) {
      if (bytes >= maxBytes) break;
      this.#pending.delete(name);
      const resource = this.#visible(name);
      if (resource === undefined) {
        this.#held.delete(name);
        removedResources.push(name);
        continue;
      }
      bytes += resource.value.length;
      if (!this.#wildcard) this.#held.add(name);
      resources.push(this.#underAskedAddresses(resource));
    }
    return { resources, removedResources };
  }

  /**
   * Who asked for an address is answered under it, also where only a block of a service holds it.
   */
  #underAskedAddresses(resource: PublishedResource): PublishedResource {
    const { blocks = [], aliases } = resource;
    if (blocks.length === 0 || this.#names.size === 0) return resource;
    const asked = [...this.#names].filter((name) => holdsAddress(blocks, name));
    return asked.length === 0 ? resource : { ...resource, aliases: [...aliases, ...asked] };
  }
}
