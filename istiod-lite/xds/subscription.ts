/**
 * One resource type on one delta xDS stream: what the client asked for, what it holds, what it has to be
 * told next. Free of I/O: requests go in, responses come out. One response is under way at a time; what
 * changes meanwhile is coalesced by name, so a slow client costs names, not messages.
 */
import type { DeltaDiscoveryRequest, DiscoveryResource } from "#common/xds/discovery-rpc.ts";
import type { TypeUrl } from "#common/xds/type-urls.ts";
import { RESOURCES_PER_RESPONSE, SUBSCRIPTIONS_PER_STREAM } from "../limits.ts";
import type { Resource, ResourceCache } from "./resource-cache.ts";

const WILDCARD = "*";

export interface PendingResponse {
  readonly resources: readonly DiscoveryResource[];
  readonly removedResources: readonly string[];
}

export interface RequestOutcome {
  /** The client refused the response with this message. */
  readonly rejected: string | undefined;
}

export class Subscription {
  readonly #cache: ResourceCache;
  readonly #typeUrl: TypeUrl;
  readonly #visible: (resource: Resource) => boolean;
  #wildcard = false;
  /** Subscribed by name or alias. */
  readonly #names = new Set<string>();
  /** What the client holds: name to version. */
  readonly #held = new Map<string, string>();
  readonly #pending = new Set<string>();
  /** Asked for by name and not there: answered as removed, once. */
  readonly #absent = new Set<string>();
  #outstanding: string | undefined;
  #started = false;
  #answerDue = false;

  constructor(cache: ResourceCache, typeUrl: TypeUrl, visible: (resource: Resource) => boolean) {
    this.#cache = cache;
    this.#typeUrl = typeUrl;
    this.#visible = visible;
  }

  get size(): number {
    return this.#names.size;
  }

  get overLimit(): boolean {
    return this.#names.size > SUBSCRIPTIONS_PER_STREAM;
  }

  /** Takes a request of this type. */
  request(request: DeltaDiscoveryRequest): RequestOutcome {
    const answers = request.responseNonce !== "" && request.responseNonce === this.#outstanding;
    if (answers) this.#outstanding = undefined;
    if (!this.#started) this.#start(request);
    else this.#subscribe(request.subscribe);
    this.#unsubscribe(request.unsubscribe);
    return { rejected: answers ? request.errorDetail?.message : undefined };
  }

  /** Resources of this type changed or went. */
  changed(names: readonly string[]): void {
    if (!this.#started) return;
    for (const name of names) if (this.#concerns(name)) this.#pending.add(name);
  }

  /** The next response, or undefined while one is under way or there is nothing to say. */
  take(nonce: string): PendingResponse | undefined {
    if (this.#outstanding !== undefined || !this.#started) return undefined;
    if (this.#pending.size === 0 && this.#absent.size === 0 && !this.#answerDue) return undefined;
    const response = this.#build();
    const empty = response.resources.length === 0 && response.removedResources.length === 0;
    if (empty && !this.#answerDue) return undefined;
    this.#answerDue = false;
    this.#outstanding = nonce;
    return response;
  }

  /** The first request of a type: no names is the old form of "everything". */
  #start(request: DeltaDiscoveryRequest): void {
    this.#started = true;
    this.#answerDue = true;
    for (const [name, version] of request.initialResourceVersions) this.#held.set(name, version);
    if (request.subscribe.length === 0) this.#subscribe([WILDCARD]);
    else this.#subscribe(request.subscribe);
    for (const name of this.#held.keys()) this.#pending.add(name);
  }

  #subscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === WILDCARD) {
        this.#wildcard = true;
        for (const every of this.#cache.names(this.#typeUrl)) this.#pending.add(every);
        continue;
      }
      this.#names.add(name);
      const found = this.#cache.resolve(this.#typeUrl, name);
      // A client that asks again wants it again, whatever it was sent before.
      for (const real of found) this.#held.delete(real);
      for (const real of found) this.#pending.add(real);
      if (found.length === 0) this.#absent.add(name);
    }
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name !== WILDCARD) {
        this.#names.delete(name);
        continue;
      }
      this.#wildcard = false;
      for (const pending of this.#pending)
        if (!this.#concerns(pending)) this.#pending.delete(pending);
    }
  }

  #concerns(name: string): boolean {
    if (this.#wildcard || this.#names.has(name) || this.#held.has(name)) return true;
    const aliases = this.#cache.get(this.#typeUrl, name)?.aliases ?? [];
    return aliases.some((alias) => this.#names.has(alias));
  }

  #build(): PendingResponse {
    const resources: DiscoveryResource[] = [];
    const removedResources = [...this.#absent];
    this.#absent.clear();
    for (const name of this.#pending) {
      if (resources.length >= RESOURCES_PER_RESPONSE) break;
      this.#pending.delete(name);
      const resource = this.#cache.get(this.#typeUrl, name);
      if (resource === undefined || !this.#visible(resource)) {
        if (this.#held.delete(name)) removedResources.push(name);
      } else if (this.#held.get(name) !== resource.version) {
        this.#held.set(name, resource.version);
        resources.push({ ...resource, typeUrl: this.#typeUrl });
      }
    }
    return { resources, removedResources };
  }
}
