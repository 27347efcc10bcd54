/**
 * The CA while what is kept of it changes: a plugged-in CA or a second root that is put there is
 * used from then on, without a restart. What cannot be used leaves the last good CA in force, and
 * says so once.
 */
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { CaStore } from "./ca-material.ts";
import { CertificateAuthority } from "./certificate-authority.ts";

export interface LiveAuthorityOptions {
  readonly store: CaStore;
  readonly logger: Logger;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

export class LiveAuthority {
  readonly #options: LiveAuthorityOptions;
  #current: CertificateAuthority;
  /** What is in use looks like this. */
  #stamp: string;
  /** What was there the last time, if that was otherwise: it is taken when it rests. */
  #seen: string;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #listeners: (() => void)[] = [];

  private constructor(options: LiveAuthorityOptions, current: CertificateAuthority, stamp: string) {
    this.#options = options;
    this.#current = current;
    this.#stamp = stamp;
    this.#seen = stamp;
  }

  /** Loads the CA, or makes one: as `CaStore.load`. */
  static async load(options: LiveAuthorityOptions): Promise<LiveAuthority> {
    const { store, now } = options;
    const authority = new CertificateAuthority(await store.load(), now);
    return new LiveAuthority(options, authority, await store.stamp());
  }

  /** Has the listener called whenever another CA or other roots have come into force. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** The CA to issue with now; not to be kept. */
  get current(): CertificateAuthority {
    return this.#current;
  }

  /** Looks at the store every `checkIntervalMs`, until `close`. */
  watch(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.check().finally(() => this.watch());
    }, this.#options.store.checkIntervalMs);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Looks once. A change is taken at the second look that finds it the same. */
  async check(): Promise<void> {
    const { store, logger, now } = this.#options;
    const { place } = store;
    const stamp = await store.stamp();
    const rests = stamp === this.#seen;
    this.#seen = stamp;
    if (!rests || stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const loaded = new CertificateAuthority(await store.reload(), now);
      if (loaded.isSameAs(this.#current)) return;
      this.#current = loaded;
    } catch (error) {
      const why = describeError(error);
      logger.error("the CA cannot be used; the last good CA stays in force", { place, why });
      return;
    }
    logger.info("another CA is in force", { place, ...this.#current.summary });
    for (const listener of this.#listeners) listener();
  }
}
