/**
 * Configuration from the API server of a cluster: every kind that the registry reads is listed and
 * watched, checked as the files of a folder are, and delivered as one stream of changes.
 */
import type { KubeApiError, KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CollectionWatch } from "#istiod-lite/config/kubernetes/watch/collection-watch.ts";
import { CrdWatch, type Served } from "#istiod-lite/config/kubernetes/watch/crd-watch.ts";
import { KindSink } from "#istiod-lite/config/kubernetes/watch/kind-sink.ts";
import { KnownObjects } from "#istiod-lite/config/kubernetes/watch/known-objects.ts";
import {
  ObjectProblems,
  type RefusedObject,
} from "#istiod-lite/config/kubernetes/watch/object-problems.ts";
import { Troubles } from "#istiod-lite/config/kubernetes/watch/troubles.ts";
import {
  type KindSource,
  WATCHED_KINDS,
  type WatchedKind,
} from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";
import type { ConfigSource } from "#istiod-lite/config/source.ts";
import type { Loss } from "#istiod-lite/config/source-loss.ts";
import { SOURCE_DEBOUNCE_MS } from "#istiod-lite/limits.ts";

export interface KubernetesSourceDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Told once of each object that the API server let through and that is refused here. */
  readonly onRefused?: (refused: RefusedObject) => void;
  /** Between 0 and 1; the system's unless given. */
  readonly random?: () => number;
}

/** How one kind is read now. */
interface KindState {
  readonly apiVersion?: string;
  readonly watch?: CollectionWatch;
  /** Its objects are all known, or it can have none. */
  readonly isComplete: boolean;
  /** Objects of it may be there that nobody can see. */
  readonly isHidden: boolean;
}

const CRDS = "CustomResourceDefinition";

/** They may forbid what is allowed without them. */
const POLICIES: ReadonlySet<WatchedKind> = new Set<WatchedKind>([
  "AuthorizationPolicy",
  "PeerAuthentication",
  "RequestAuthentication",
]);

export class KubernetesSource implements ConfigSource {
  readonly #deps: KubernetesSourceDeps;
  readonly #known: KnownObjects;
  readonly #problems: ObjectProblems;
  readonly #troubles: Troubles;
  readonly #kinds = new Map<WatchedKind, KindState>();
  /** Kinds of which objects may be there that were never delivered. */
  readonly #unseen = new Set<WatchedKind>();
  readonly #lists = new Map<string, number>();
  readonly #firstDelivery = Promise.withResolvers<void>();
  #onChange: ((changes: readonly ObjectChange[]) => void) | undefined;
  #crds: CrdWatch | undefined;
  #flush: NodeJS.Timeout | undefined;
  #delivered = false;
  #closed = false;

  constructor(deps: KubernetesSourceDeps) {
    this.#deps = deps;
    const { logger, onRefused } = deps;
    this.#problems = new ObjectProblems({ logger, onRefused });
    this.#troubles = new Troubles(logger);
    this.#known = new KnownObjects(this.#problems, () => this.#schedule());
  }

  /** The object as it is in force. */
  object(key: string): KubernetesObject | undefined {
    return this.#known.get(key);
  }

  get refused(): Iterable<RefusedObject> {
    return this.#problems.refused;
  }

  get refusedCount(): number {
    return this.#problems.refusedCount;
  }

  /** Lists that were begun, by `<kind>/first` and `<kind>/expired`. */
  get lists(): ReadonlyMap<string, number> {
    return this.#lists;
  }

  /** Kinds that are not read now, with why. */
  get unread(): ReadonlyMap<string, KubeApiError> {
    const unread = new Map<string, KubeApiError>();
    for (const kind of this.#troubles.kinds) {
      const error = this.#troubles.of(kind);
      if (error !== undefined) unread.set(kind, error);
    }
    return unread;
  }

  get isWhole(): boolean {
    return this.#unseen.size === 0 && this.loss === undefined;
  }

  /** Kinds whose objects cannot be seen any more though they may be there. */
  get loss(): Loss | undefined {
    const reasons: string[] = [];
    const held = new Set<string>();
    for (const [kind, { isHidden }] of this.#kinds) {
      const isForbidden = this.#troubles.isDenied(kind);
      const keys = this.#known.ofKind(kind);
      if (keys.size === 0 || (!isHidden && !isForbidden)) continue;
      reasons.push(
        isHidden ? `${kind} is not served any more` : `${kind} may not be read any more`,
      );
      for (const key of keys.keys()) held.add(key);
    }
    return reasons.length === 0 ? undefined : { reason: reasons.join(", "), held };
  }

  /**
   * As `start` of the interface says. Waits, however long, until every kind was listed or is known
   * not to be there: half of the configuration would let through what the other half forbids.
   */
  async start(onChange: (changes: readonly ObjectChange[]) => void): Promise<void> {
    if (this.#onChange !== undefined) {
      throw new MeshError("SOURCE_STARTED", "the source is started already");
    }
    this.#onChange = onChange;
    const { client, random } = this.#deps;
    for (const source of WATCHED_KINDS) {
      const [apiVersion] = source.apiVersions;
      this.#kinds.set(source.kind, { isComplete: false, isHidden: false });
      if (source.crd === undefined && apiVersion !== undefined) this.#read(source, apiVersion);
    }
    this.#crds = new CrdWatch({
      client,
      kinds: WATCHED_KINDS,
      onServed: (source, served) => this.#onServed(source, served),
      onTrouble: (error) => this.#trouble(CRDS, error),
      ...(random && { random }),
    });
    await this.#firstDelivery.promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#flush);
    const watches = [...this.#kinds.values()].map(({ watch }) => watch?.stop());
    await Promise.all([this.#crds?.stop(), ...watches]);
    this.#firstDelivery.resolve();
  }

  #read(source: KindSource, apiVersion: string): void {
    const { kind, labelSelector } = source;
    const { client, random } = this.#deps;
    const state = this.#kinds.get(kind);
    const sink = new KindSink({
      kind,
      apiVersion,
      known: this.#known,
      onListed: () => this.#onListed(kind),
      onTrouble: (error) => this.#trouble(kind, error),
    });
    const collection = { path: collectionPath(kind, undefined, apiVersion), labelSelector };
    const onList = (reason: string): void => {
      const name = `${kind}/${reason}`;
      this.#lists.set(name, (this.#lists.get(name) ?? 0) + 1);
    };
    const deps = { client, sink, onList, ...(random && { random }) };
    const watch = new CollectionWatch(collection, deps);
    const isComplete = state?.isComplete ?? false;
    this.#kinds.set(kind, { apiVersion, watch, isComplete, isHidden: state?.isHidden ?? false });
  }

  #trouble(kind: string, error: KubeApiError | undefined): void {
    if (!this.#closed) this.#troubles.set(kind, error);
  }

  #onListed(kind: WatchedKind): void {
    const state = this.#kinds.get(kind);
    if (state !== undefined) {
      this.#kinds.set(kind, { ...state, isComplete: true, isHidden: false });
    }
    this.#schedule();
  }

  #onServed(source: KindSource, served: Served): void {
    const { kind } = source;
    const state = this.#kinds.get(kind);
    if (served.apiVersion !== undefined && served.apiVersion === state?.apiVersion) return;
    void state?.watch?.stop();
    this.#troubles.set(kind, undefined);
    if (served.apiVersion !== undefined) {
      if (this.#delivered) {
        this.#deps.logger.info("objects are read", { kind, apiVersion: served.apiVersion });
      }
      this.#read(source, served.apiVersion);
      return;
    }
    const isHidden = served.because !== "absent";
    if (isHidden) this.#unseen.add(kind);
    else this.#unseen.delete(kind);
    const isComplete = state?.isComplete === true || !isHidden || !POLICIES.has(kind);
    this.#kinds.set(kind, { isComplete, isHidden });
    if (served.because === "absent") this.#known.replace(kind, new Map());
    if (isHidden) this.#tellHidden(source, served.because);
    this.#schedule();
  }

  #tellHidden({ kind, crd, apiVersions }: KindSource, because: "pending" | "unserved"): void {
    const { logger } = this.#deps;
    if (because === "unserved") {
      const why = "no version of them is served that is known";
      const hint = `serve one of ${apiVersions.join(", ")}`;
      logger.error(`objects cannot be read: ${why}`, { kind, crd, hint });
    } else {
      const hint = `kubectl describe crd ${crd}`;
      logger.warn("objects cannot be read: their definition is not established", { kind, hint });
    }
  }

  /** Changes that come close together are delivered together. */
  #schedule(): void {
    if (this.#closed || this.#flush !== undefined) return;
    if (!this.#delivered && [...this.#kinds.values()].some(({ isComplete }) => !isComplete)) return;
    this.#flush = setTimeout(() => this.#deliver(), SOURCE_DEBOUNCE_MS);
  }

  #deliver(): void {
    this.#flush = undefined;
    const changes = this.#known.takeChanges();
    const listed = [...this.#unseen].filter((kind) => this.#kinds.get(kind)?.isHidden === false);
    if (!this.#delivered || changes.length > 0) {
      this.#delivered = true;
      this.#onChange?.(changes);
    }
    for (const kind of listed) this.#unseen.delete(kind);
    this.#firstDelivery.resolve();
  }
}
