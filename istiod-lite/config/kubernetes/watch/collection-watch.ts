/**
 * Follows one collection: lists it, watches from there, goes on where a watch ended, and lists
 * again where the server does not know the place any more. Never gives up until it is stopped.
 */

import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import {
  type Collection,
  isExpired,
  listCollection,
  type PageTaker,
} from "#common/kube-client/list-collection.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import type { JsonObject } from "#common/runtime/json-object.ts";
import { pause } from "#common/runtime/pause.ts";
import {
  CONFIRM_LIST_MS,
  DENIALS_BEFORE_BELIEVED,
  DENIED_RETRY_MS,
  RETRY_INITIAL_MS,
  RETRY_MAX_MS,
  WATCH_MIN_MS,
  WATCH_TIMEOUT_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import { isDenied } from "#istiod-lite/config/kubernetes/watch/troubles.ts";
import { isOlder, readWatchEvent } from "#istiod-lite/config/kubernetes/watch/watch-event.ts";

export interface CollectionSink extends PageTaker {
  /**
   * The list is complete. False: it cannot be believed yet, and is to be asked for once more;
   * `confirmed` when it was already.
   */
  end(confirmed: boolean): boolean;
  upsert(object: JsonObject): void;
  remove(object: JsonObject): void;
  /** An attempt failed; undefined when one has succeeded after that. */
  trouble(error: KubeApiError | undefined): void;
}

export interface CollectionDeps {
  readonly client: KubeClient;
  readonly sink: CollectionSink;
  /** Between 0 and 1; the system's unless given. */
  readonly random?: () => number;
  /** A list begins, for this reason. */
  readonly onList?: (reason: "first" | "expired") => void;
}

export class CollectionWatch {
  readonly #collection: Collection;
  readonly #deps: CollectionDeps;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  /** Where the next watch goes on; undefined: the next thing is a list. */
  #resourceVersion: string | undefined;
  #hadList = false;
  #isConfirming = false;
  /** One after the other. */
  #denials = 0;

  constructor(collection: Collection, deps: CollectionDeps) {
    this.#collection = collection;
    this.#deps = deps;
    this.#random = deps.random ?? Math.random;
    const steps = { initialMs: RETRY_INITIAL_MS, maxMs: RETRY_MAX_MS };
    this.#backoff = new Backoff(steps, this.#random);
    this.#ended = this.#run();
  }

  /** Nothing is said to the sink from the call on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await (this.#resourceVersion === undefined ? this.#list() : this.#watch());
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error);
      }
    }
  }

  async #list(): Promise<void> {
    const { client, sink, onList } = this.#deps;
    const { signal } = this.#stop;
    onList?.(this.#hadList ? "expired" : "first");
    const at = await listCollection(client, this.#collection, sink, signal);
    if (signal.aborted) return;
    sink.trouble(undefined);
    if (sink.end(this.#isConfirming)) {
      this.#isConfirming = false;
      this.#hadList = true;
      this.#resourceVersion = at;
      return;
    }
    this.#isConfirming = true;
    await pause(CONFIRM_LIST_MS, signal);
  }

  async #watch(): Promise<void> {
    const { client, sink } = this.#deps;
    const { path, labelSelector, accept } = this.#collection;
    const { signal } = this.#stop;
    const started = performance.now();
    const seconds = Math.round((WATCH_TIMEOUT_MS * (1 + this.#random())) / 1_000);
    const query = {
      labelSelector,
      resourceVersion: this.#resourceVersion,
      allowWatchBookmarks: "true",
      timeoutSeconds: String(seconds),
    };
    const onOpen = (): void => sink.trouble(undefined);
    const form = accept === undefined ? {} : { accept: accept.watch };
    for await (const line of client.watch({ path, query, signal, onOpen, ...form })) {
      if (signal.aborted) return;
      this.#take(line);
      this.#backoff.reset();
    }
    // One that the server ends at once, again and again, is no better than one that it refuses.
    if (performance.now() - started >= WATCH_MIN_MS) this.#backoff.reset();
    else await pause(this.#backoff.next(), signal);
  }

  #take(line: unknown): void {
    const { sink } = this.#deps;
    const { path } = this.#collection;
    const event = readWatchEvent(line, path);
    if (event === undefined) return;
    const { type, object, resourceVersion } = event;
    if (isOlder(resourceVersion, this.#resourceVersion ?? "")) {
      const message = `watch ${path}: the server's state is older than what it said before`;
      throw new KubeApiError(message, { status: 410, reason: "Expired" });
    }
    if (type === "DELETED") sink.remove(object);
    else if (type !== "BOOKMARK") sink.upsert(object);
    this.#resourceVersion = resourceVersion;
  }

  async #recover(failure: unknown): Promise<void> {
    const { signal } = this.#stop;
    // What was not taken in is asked for again: nothing is ever passed over.
    const error = asApiError(failure, this.#collection.path);
    if (isExpired(error)) {
      this.#resourceVersion = undefined;
      await pause(this.#backoff.next(), signal);
      return;
    }
    this.#deps.sink.trouble(error);
    this.#denials = isDenied(error) ? this.#denials + 1 : 0;
    const isBelieved = this.#denials >= DENIALS_BEFORE_BELIEVED;
    const step = isBelieved ? DENIED_RETRY_MS * (1 + this.#random()) : this.#backoff.next();
    await pause(Math.max(step, error.retryAfterMs ?? 0), signal);
  }
}

function asApiError(failure: unknown, path: string): KubeApiError {
  if (failure instanceof KubeApiError) return failure;
  const message = `watch ${path}: what the server said cannot be taken in`;
  return new KubeApiError(message, { status: 0, reason: "Internal" }, { cause: failure });
}
