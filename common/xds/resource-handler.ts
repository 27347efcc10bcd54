/**
 * One subscribed resource type: what is known of it, and what becomes of a push. Good resources of
 * a push are applied even where others are rejected; a rejected one is not remembered, so that the
 * server sends it again after a reconnect, and its last good version stays in force.
 */
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { DeltaDiscoveryResponse, DiscoveryResource } from "./discovery-rpc.ts";
import { RESOURCES_PER_TYPE } from "./limits.ts";
import type { NameSubscription } from "./name-subscription.ts";

export interface NamedResource<Value> {
  readonly name: string;
  readonly value: Value;
}

/** What a subscriber brings for one type. */
export interface ResourceSpec<Value> {
  readonly typeUrl: string;
  /** Throws MeshError for what cannot be used. */
  readonly decode: (bytes: Uint8Array) => Value;
  /**
   * What of a resource that can be used is not understood, if anything: it is applied all the same,
   * and the control plane is told as of one that was rejected. @default nothing
   */
  readonly complain?: (value: Value) => string | undefined;
  /**
   * Called once per push with all of it. Removals are of names; an absent resource is not removed.
   * `rejected` could not be decoded: what is held of them stays.
   */
  readonly apply: (
    upserts: readonly NamedResource<Value>[],
    removed: readonly string[],
    rejected: readonly Rejection[],
  ) => void;
  /** Set where resources are asked for by name: then nothing else is subscribed to. */
  readonly names?: NameSubscription;
}

export interface Rejection {
  readonly name: string;
  readonly why: string;
  /** It is in force, without what was not understood. */
  readonly applied?: true;
}

export class ResourceHandler {
  readonly typeUrl: string;
  /** Undefined where everything there is is subscribed to. */
  readonly names: NameSubscription | undefined;
  readonly #accept: (response: DeltaDiscoveryResponse) => readonly Rejection[];
  readonly #versions = new Map<string, string>();
  #synced = false;

  private constructor(
    { typeUrl, names }: { readonly typeUrl: string; readonly names?: NameSubscription },
    accept: (
      response: DeltaDiscoveryResponse,
      versions: Map<string, string>,
    ) => readonly Rejection[],
  ) {
    this.typeUrl = typeUrl;
    this.names = names;
    this.#synced = names !== undefined;
    this.#accept = (response) => accept(response, this.#versions);
  }

  static of<Value>(spec: ResourceSpec<Value>): ResourceHandler {
    return new ResourceHandler(spec, (response, versions) => {
      const { good, rejected } = decodeAll(spec, response.resources, versions);
      spec.apply(good, response.removedResources, rejected);
      for (const name of response.removedResources) versions.delete(name);
      for (const { name, version } of response.resources) versions.set(name, version);
      const complaints = [...rejected, ...complaintsAbout(spec, good)];
      for (const { name } of complaints) versions.delete(name);
      spec.names?.answered(namesOf(response), response.removedResources);
      return complaints;
    });
  }

  /** Applies a push; what it returns makes it a NACK. */
  accept(response: DeltaDiscoveryResponse): readonly Rejection[] {
    const rejected = this.#accept(response);
    this.#synced = true;
    return rejected;
  }

  /**
   * Whether the type has been answered once, ever: losing the server later does not undo that.
   * Where nothing is asked for yet there is nothing to answer.
   */
  get synced(): boolean {
    return this.#synced;
  }

  /** Name to version of everything held: `initial_resource_versions` of the next stream. */
  get versions(): ReadonlyMap<string, string> {
    return this.#versions;
  }
}

function* namesOf({ resources }: DeltaDiscoveryResponse): Generator<string> {
  for (const { name, aliases } of resources) {
    yield name;
    yield* aliases;
  }
}

function decodeAll<Value>(
  spec: ResourceSpec<Value>,
  resources: readonly DiscoveryResource[],
  held: ReadonlyMap<string, string>,
): { good: readonly NamedResource<Value>[]; rejected: readonly Rejection[] } {
  const good = new Map<string, NamedResource<Value>>();
  const rejected: Rejection[] = [];
  for (const resource of resources) {
    const { name } = resource;
    try {
      if (!held.has(name) && held.size + good.size >= RESOURCES_PER_TYPE) throw tooMany();
      good.set(name, { name, value: decode(spec, resource) });
    } catch (error) {
      rejected.push({ name, why: describeError(error) });
    }
  }
  return { good: [...good.values()], rejected };
}

function tooMany(): MeshError {
  return new MeshError("INVALID_RESOURCE", `${RESOURCES_PER_TYPE} of its type are held already`);
}

function complaintsAbout<Value>(
  { complain }: ResourceSpec<Value>,
  good: readonly NamedResource<Value>[],
): readonly Rejection[] {
  if (complain === undefined) return [];
  return good.flatMap(({ name, value }) => {
    const why = complain(value);
    return why === undefined ? [] : [{ name, why, applied: true }];
  });
}

function decode<Value>(spec: ResourceSpec<Value>, resource: DiscoveryResource): Value {
  if (resource.typeUrl === spec.typeUrl) return spec.decode(resource.value);
  const message = `it has type ${resource.typeUrl || "none"} in a push of ${spec.typeUrl}`;
  throw new MeshError("INVALID_RESOURCE", message);
}
