/**
 * Key sets by URI: fetched when they are first needed, again in the background when they are no
 * longer fresh, and at once, but not too often, when a token names a key that is not among them.
 * Where a fetch fails the last good set stays; where there never was one there are no keys, and
 * nobody's token is valid.
 */
import { describeError } from "#common/runtime/errors.ts";
import { KeySet } from "./key-set.ts";
import {
  JWKS_FRESH_MS,
  JWKS_MAX_TIMEOUT_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS,
  JWKS_TIMEOUT_MS,
  JWKS_UNKNOWN_KEY_MS,
  JWKS_URIS,
} from "./limits.ts";

/** The text of a key set. Rejects where it cannot be had within `timeoutMs`. */
export type FetchJwks = (uri: string, timeoutMs: number) => Promise<string>;

export interface KeySource {
  /** The keys as they are known; undefined where `load` has to be waited for. */
  current(): KeySet | undefined;
  /** Undefined where there are none to be had. Never rejects. */
  load(): Promise<KeySet | undefined>;
  /** After a token named a key that `current` does not have. Never rejects. */
  refetch(): Promise<KeySet | undefined>;
  /** Why there are none, for the log; "" where nothing is known to be wrong. */
  problem(): string;
}

export interface JwksCacheDeps {
  readonly fetch: FetchJwks;
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number;
  /** Told of every fetch that failed. */
  readonly onFailure?: (uri: string, error: unknown) => void;
}

export class JwksCache {
  readonly #deps: JwksCacheDeps;
  readonly #entries = new Map<string, RemoteKeys>();

  constructor(deps: JwksCacheDeps) {
    this.#deps = deps;
  }

  /** `timeoutMs` of 0 or none: the default. */
  source(uri: string, timeoutMs = 0): KeySource {
    const bound = Math.min(timeoutMs || JWKS_TIMEOUT_MS, JWKS_MAX_TIMEOUT_MS);
    const entry = (): RemoteKeys => this.#entry(uri);
    return {
      current: () => entry().current(bound),
      load: () => entry().load(bound),
      refetch: () => entry().refetch(bound),
      problem: () => entry().problem,
    };
  }

  #entry(uri: string): RemoteKeys {
    const known = this.#entries.get(uri);
    if (known !== undefined && this.#entries.size < JWKS_URIS) return known;
    const entry = known ?? new RemoteKeys(uri, this.#deps);
    this.#entries.delete(uri);
    this.#entries.set(uri, entry);
    if (this.#entries.size > JWKS_URIS) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    return entry;
  }
}

class RemoteKeys {
  /** Of the last fetch; "" where it went well. */
  problem = "";
  readonly #uri: string;
  readonly #deps: JwksCacheDeps;
  #keys: KeySet | undefined;
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #failedAtMs = Number.NEGATIVE_INFINITY;
  #refetchedAtMs = Number.NEGATIVE_INFINITY;
  #pending: Promise<void> | undefined;

  constructor(uri: string, deps: JwksCacheDeps) {
    this.#uri = uri;
    this.#deps = deps;
  }

  current(timeoutMs: number): KeySet | undefined {
    const ageMs = this.#deps.now() - this.#fetchedAtMs;
    if (ageMs < JWKS_FRESH_MS) return this.#keys;
    if (this.#keys === undefined) return undefined;
    if (this.#mayFetch()) void this.#fetch(timeoutMs);
    // What could not be fetched for so long is used all the same, but not before it was tried.
    return ageMs < JWKS_STALE_MS || this.#pending === undefined ? this.#keys : undefined;
  }

  async load(timeoutMs: number): Promise<KeySet | undefined> {
    const fresh = this.#deps.now() - this.#fetchedAtMs < JWKS_FRESH_MS;
    if (this.#pending !== undefined || (!fresh && this.#mayFetch())) await this.#fetch(timeoutMs);
    return this.#keys;
  }

  async refetch(timeoutMs: number): Promise<KeySet | undefined> {
    const now = this.#deps.now();
    if (this.#pending === undefined) {
      if (now - this.#refetchedAtMs < JWKS_UNKNOWN_KEY_MS) return this.#keys;
      this.#refetchedAtMs = now;
    }
    await this.#fetch(timeoutMs);
    return this.#keys;
  }

  #mayFetch(): boolean {
    return this.#deps.now() - this.#failedAtMs >= JWKS_RETRY_MS;
  }

  #fetch(timeoutMs: number): Promise<void> {
    this.#pending ??= this.#fetchNow(timeoutMs).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetchNow(timeoutMs: number): Promise<void> {
    const { fetch, now, onFailure } = this.#deps;
    try {
      const keys = KeySet.parse(await fetch(this.#uri, timeoutMs));
      if (keys === undefined) throw new Error("there is no usable key in it");
      // The same set keeps its imported keys.
      if (keys.id !== this.#keys?.id) this.#keys = keys;
      this.#fetchedAtMs = now();
      this.problem = "";
    } catch (error) {
      this.#failedAtMs = now();
      this.problem = describeError(error);
      onFailure?.(this.#uri, error);
    }
  }
}

/** Keys that are part of the configuration. */
export function inlineKeys(text: string): KeySource {
  const keys = KeySet.parse(text);
  const loaded = Promise.resolve(keys);
  const problem = keys === undefined ? "there is no usable key in the configuration" : "";
  return {
    current: () => keys,
    load: () => loaded,
    refetch: () => loaded,
    problem: () => problem,
  };
}
